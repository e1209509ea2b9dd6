"""The commands of docs/quickstart.md, as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_quickstart_works_as_it_stands(tmp_path):
    text = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    commands = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    script = "\n".join(commands).replace("demo/shapes", str(tmp_path))
    assert script.count("graphmatch ") == 8
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["retrieval"]["rsum"] > 500  # of 600; chance is about 200
    hits = [line.split() for line in done.stdout.splitlines() if re.match(r" +\d+ +-?\d", line)]
    assert hits[0][0] == "1"
    assert hits[0][-1] == "21"
    page = (tmp_path / "explained.html").read_text(encoding="utf-8")
    assert "circle" in page
    assert "data:image/" in page
