"""The package as a whole: imports, public names, the wheel, neighbours."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import graphmatch

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "torch_geometric", "spacy", "pyarrow", "networkx", "stanza", "matplotlib")
SOURCES = [
    path
    for folder in ("graphmatch", "parsers", "datasets", "tests", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
]


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("module", ["graphmatch", "graphmatch.cli.main"])
def test_import_is_light(module):
    code = f"import sys, {module}; print(*[m for m in {HEAVY} if m in sys.modules])"
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_parsing_imports_no_torch():
    code = (
        "import sys; from graphmatch.parsers import load_parser, roles, dependencies, conllu; "
        "import graphmatch.store, graphmatch.parse_job; print('torch' in sys.modules)"
    )
    assert python(code).stdout.strip() == "False"


def test_public_names_are_there_and_are_all():
    assert sorted(graphmatch.__all__) == sorted(graphmatch.MODULES)
    for name in graphmatch.__all__:
        assert getattr(graphmatch, name) is not None
        assert name in dir(graphmatch)
    with pytest.raises(AttributeError, match="no attribute 'Graph'"):
        graphmatch.Graph  # noqa: B018


def test_no_file_imports_the_folders_by_their_short_names():
    assert len(SOURCES) > 40
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            for name in names:
                assert name.split(".")[0] not in ("parsers", "datasets"), path


def test_hugging_face_datasets_is_not_hidden_from_the_root():
    found = python("import datasets; print(datasets.__file__, datasets.load_dataset.__name__)")
    assert found.returncode == 0, found.stderr
    assert "site-packages" in found.stdout
    assert importlib.util.find_spec("datasets").origin != str(ROOT / "datasets" / "__init__.py")
    assert not (ROOT / "datasets" / "__init__.py").exists()


@pytest.mark.slow
def test_wheel_holds_the_package_alone_and_works_beside_datasets(tmp_path):
    # a copy: a build leaves a folder behind that would go into the next wheel
    left = shutil.ignore_patterns(".*", "build", "demo", "*.egg-info", "__pycache__", "tests")
    shutil.copytree(ROOT, tmp_path / "source", symlinks=True, ignore=left)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    done = subprocess.run(
        [*build, str(tmp_path / "source")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    wheel = next(tmp_path.glob("*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"graphmatch"}
    for name in ("parsers/roles.py", "datasets/captions.py", "graphs/text.py", "py.typed"):
        assert f"graphmatch/{name}" in names
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import datasets, graphmatch, graphmatch.datasets.captions, graphmatch.parsers.roles; "
        "print(datasets.__file__); print(graphmatch.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    theirs, ours = done.stdout.split()
    assert "site-packages" in theirs
    assert ours.startswith(str(tmp_path))


def test_public_names_are_no_modules():
    # a submodule of the same name would take a name's place as soon as it is imported
    for name in graphmatch.__all__:
        assert importlib.util.find_spec(f"graphmatch.{name}") is None
