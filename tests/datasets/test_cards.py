from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

CARDS = Path(__file__).resolve().parent.parent.parent / "datasets" / "cards"
FOLDERS = {
    "activitynet_captions": "activitynet_captions",
    "alimama": "alimama_sample",
    "charades_sta": "charades_sta",
    "coco": "coco_val2017",
    "cxc": "coco_val2017",
    "flickr30k": "flickr30k_captions",
    "flickr8k": "flickr8k_captions",
    "fuxictr": "fuxictr_tiny",
    "movielens": "ml-latest-small",
    "msrvtt": "msrvtt",
    "sugarcrepe": "coco_val2017",
    "tacos": "tacos",
    "vsr": "coco_val2017",
}
BY_FORMAT = ["amazon_reviews", "hgr_folders", "scan_folders"]  # no file of them is at hand


def card(name):
    return (CARDS / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*FOLDERS, *BY_FORMAT])
def test_card_has_every_part(name):
    titles = re.findall(r"^## (\w+)", card(name), re.MULTILINE)
    assert titles == ["Files", "Splits", "Licence", "Known", "Loading"]


@pytest.mark.parametrize("name", [*FOLDERS, *BY_FORMAT])
def test_names_that_a_card_imports_are_there(name):
    lines = re.findall(r"^from graphmatch\S+ import .*$", card(name), re.MULTILINE)
    assert lines
    for line in lines:
        exec(line, {})


@pytest.mark.parametrize("name", FOLDERS)
def test_checksums_are_those_of_the_files(name, data):
    rows = re.findall(r"^\| `(\S+)` \|.*\| `([0-9a-f]{64})` \|$", card(name), re.MULTILINE)
    assert rows
    for file, digest in rows:
        content = (data / FOLDERS[name] / file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest, file
