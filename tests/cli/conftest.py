"""Running the command line in this process."""

from __future__ import annotations

import io
import sys

import pytest

from graphmatch.cli.main import main


@pytest.fixture
def run(monkeypatch, capsys):
    """`run(*arguments, stdin=b"")` -> (exit code, standard output, standard error)."""

    def call(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "argv", ["graphmatch", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8"))
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(scope="session")
def captions(tmp_path_factory):
    path = tmp_path_factory.mktemp("captions") / "few.txt"
    path.write_text("A man rides a horse.\nTwo dogs run in the park.\nA red kite\n")
    return path


@pytest.fixture
def store(run, captions, tmp_path):
    code, _, err = run("parse", captions, "--out", tmp_path / "store")
    assert code == 0, err
    return tmp_path / "store"
