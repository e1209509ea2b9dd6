"""One run at a time writes to a folder."""

from __future__ import annotations

import subprocess
import sys

import pytest

from graphmatch.errors import ConfigError, FormatError
from graphmatch.feature_store import FeatureStore
from graphmatch.feature_writer import FeatureWriter
from graphmatch.folder_lock import FolderLock
from tests.features import record, write

LOCK = "import sys; from graphmatch.folder_lock import FolderLock; FolderLock(sys.argv[1])"


def test_a_lock_holds_against_another_process_until_it_is_released(tmp_path):
    lock = FolderLock(tmp_path)

    def other():
        command = [sys.executable, "-c", LOCK, str(tmp_path)]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    done = other()
    assert done.returncode == 1
    assert "another run is writing" in done.stderr
    lock.release()
    assert other().returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_two_writers_do_not_mix_in_one_store(tmp_path):
    with FeatureWriter(tmp_path / "s", kind="regions", job={"tool": "test"}) as writer:
        writer.add(record("a"))
        for force in (False, True):
            with pytest.raises(ConfigError, match="another run"):
                FeatureWriter(tmp_path / "s", kind="regions", job={"tool": "test"}, force=force)
        with pytest.raises(FormatError, match="is being written"):
            FeatureStore(tmp_path / "s")
        writer.add(record("b"))
    FeatureStore(tmp_path / "s").verify()
    assert write(tmp_path / "s", [record("c")]).ids == ["a", "b", "c"]
