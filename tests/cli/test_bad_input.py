"""What goes wrong in practice: each case ends as a counted row or a clear message."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graphmatch.store import GraphStore

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "datasets" / "samples" / "captions.txt"


def command(*arguments):
    return [sys.executable, "-m", "graphmatch.cli.main", *map(str, arguments)]


BAD_LINES = {
    "empty": ("", "empty caption"),
    "blank": (" \t ", "empty caption"),
    "zero width": ("\u200b\u200b", "empty caption: no word is left"),
    "NUL": ("a dog\0runs", "NUL byte"),
}
ODD_LINES = {
    "punctuation": "?!...",
    "emoji": "\U0001f436\U0001f3be",
    "markup": "<b>a dog</b> &amp; http://a.b/c?d=e",
    "long": "a dog runs . " * 2500,
    "capitals": "A DOG RUNS",
    "other script": "一只狗在草地上奔跑",
}


def test_bad_captions_become_counted_rows(run, tmp_path):
    path = tmp_path / "c.jsonl"
    records = [{"id": name, "caption": text} for name, (text, _) in BAD_LINES.items()]
    records += [{"id": name, "caption": text} for name, text in ODD_LINES.items()]
    records += [{"id": "emoji", "caption": "a second one"}, {"id": "none"}, {"caption": 5}, [1]]
    lines = [json.dumps(record).encode() for record in records]
    lines += [b"{not json", b'{"id": "half", "caption": "\\ud83d"}', b'{"caption": "a \xff"}']
    path.write_bytes(b"\n".join(lines))
    code, out, _ = run("parse", path, "--out", tmp_path / "s")
    assert code == 3
    rows = list(GraphStore(tmp_path / "s"))
    assert len(rows) == len(lines)
    errors = {row.id: row.error for row in rows[: len(BAD_LINES)]}
    for name, (_, message) in BAD_LINES.items():
        assert message in errors[name]
    for row in rows[len(BAD_LINES) : len(BAD_LINES) + len(ODD_LINES)]:
        assert row.error is None, row.id
        assert len(row.dependencies) == len(row.parse) > 0
        assert row.text == ODD_LINES[row.id]
    assert len(rows[7].parse) == 10000
    bad = [row.error for row in rows[len(BAD_LINES) + len(ODD_LINES) :]]
    assert "duplicate id 'emoji'" in bad[0]
    assert all("expected text" in error for error in bad[1:3])
    assert "expected an object" in bad[3]
    assert "JSON" in bad[4]
    assert all("invalid UTF-8" in error for error in bad[5:])
    assert f"{len(BAD_LINES) + len(bad)} failed" in out
    listed = run("info", tmp_path / "s", "--failures")[1]
    assert "emoji\tduplicate id" in listed


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.txt", None, "no such file"),
        ("folder", "folder", "got a folder"),
        ("c.json", b"{", "expected JSON"),
        ("c.json", b'{"info": 1}', "annotations"),
        ("c.csv", b"a,b\n1,2\n", "expected a header"),
        ("c.parquet", b"PAR1 nothing", "truncated or damaged"),
        ("c.txt.gz", b"\x1f\x8b\x08\x00broken", "damaged"),
        ("c.txt", "a dog".encode("utf-16"), "UTF-16"),
    ],
)
def test_files_that_are_no_captions_end_in_a_message(run, tmp_path, name, content, message):
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    code, _, err = run("parse", path, "--out", tmp_path / "s")
    assert code == 1
    assert message in err
    assert "Traceback" not in err


def test_store_in_the_way_is_never_touched(run, captions, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    for arguments in ((), ("--force",)):
        code, _, err = run("parse", captions, "--out", tmp_path, *arguments)
        assert code == 1
        assert "expected a new or empty folder" in err
    assert (tmp_path / "photo.jpg").read_bytes() == b"mine"
    assert run("parse", captions, "--out", captions)[0] == 1
    assert captions.read_text().startswith("A man")


def test_store_of_a_newer_version_is_refused(run, captions, store):
    manifest = json.loads((store / "manifest.json").read_text())
    (store / "manifest.json").write_text(json.dumps({**manifest, "version": 99}))
    for arguments in (("info", store), ("parse", captions, "--out", store)):
        code, _, err = run(*arguments)
        assert code == 1
        assert "newer graphmatch" in err


def test_truncated_part_is_named_and_made_again(run, captions, store):
    part = store / "part-00000.parquet"
    whole = part.read_bytes()
    part.write_bytes(whole[: len(whole) // 2])
    code, _, err = run("info", store)
    assert code == 1
    assert "part-00000.parquet" in err
    assert run("parse", captions, "--out", store)[0] == 0
    assert part.read_bytes() == whole


def test_flipped_byte_is_named_and_made_again(run, captions, store):
    part = store / "part-00000.parquet"
    whole = part.read_bytes()
    rows = list(GraphStore(store))
    found = 0
    for place in range(4, len(whole), len(whole) // 40):
        part.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        code, _, err = run("info", store)
        if code == 0:  # a byte that nobody reads
            assert list(GraphStore(store)) == rows
            continue
        found += 1
        assert code == 1
        assert "part-00000.parquet" in err
    assert found > 20
    part.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
    assert run("parse", captions, "--out", store)[0] == 0
    assert list(GraphStore(store)) == rows


def many(path, copies=4):
    lines = SAMPLES.read_text().splitlines()
    path.write_text("\n".join(f"{line} {n}" for n in range(copies) for line in lines) + "\n")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_killed_run_goes_on_to_the_same_bytes(run, tmp_path, processes):
    captions = many(tmp_path / "c.txt")
    options = ("--part-rows", 40, "--processes", processes)
    assert run("parse", captions, "--out", tmp_path / "whole", *options)[0] == 0
    broken = tmp_path / "broken"
    process = subprocess.Popen(
        command("parse", captions, "--out", broken, *options),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while len(list(broken.glob("part-*.parquet"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(1)  # workers notice that their parent is gone
    finished = {path: path.stat().st_mtime_ns for path in broken.glob("part-*.parquet")}
    assert 3 <= len(finished) < 20
    code, _, err = run("info", broken)
    assert code == 1
    assert "interrupted" in err
    code, out, _ = run("parse", captions, "--out", broken, *options)
    assert code == 0
    assert f"{40 * len(finished)} captions were kept" in out
    assert finished == {path: path.stat().st_mtime_ns for path in finished}
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert names == sorted(path.name for path in broken.iterdir())
    for name in names:
        assert (broken / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.slow
def test_full_disk_ends_in_a_message_and_can_go_on(run, tmp_path):
    """A limit on the size of a file fails a write as a full disk does, on any machine."""
    captions = many(tmp_path / "c.txt", copies=1)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    arguments = ("parse", captions, "--out", tmp_path / "s")
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, preexec_fn=limit, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") <= 2
    assert "File too large" in done.stderr
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["manifest.json"]
    assert run(*arguments)[0] == 0


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
def test_full_tmpfs_ends_in_a_message(run, tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let us mount a tmpfs: the full disk was not tried")
    try:
        captions = many(tmp_path / "c.txt", copies=2)
        code, _, err = run("parse", captions, "--out", folder / "s", "--part-rows", 50)
        assert code == 1
        assert "No space left" in err
        assert not list(folder.glob("**/*.tmp"))
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_an_interrupt_ends_in_a_message(run, monkeypatch):
    def interrupt(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("graphmatch.store_folder.stored_format", interrupt)
    code, _, err = run("info", "store")
    assert code == 130
    assert err.startswith("graphmatch: interrupted; what is finished is kept")
