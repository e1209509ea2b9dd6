"""`graphmatch corpus`: the command on local processes; tests/test_corpus_ray.py has it on Ray."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from graphmatch.checkpoint import save_checkpoint
from graphmatch.encoded_store import read_encoded
from graphmatch.models.scan import SCAN, SCANConfig
from graphmatch.vocab import SCAN_SPECIALS, Vocabulary


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    images, annotations = [], []
    for number in range(5):
        pixels = np.full((60, 80, 3), 40 * number, np.uint8)
        pixels[10:40, 5:25] = (220, 40, 40)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 80, "height": 60})
        box = {"bbox": [5, 10, 20, 30], "area": 600, "iscrowd": 0, "category_id": 7}
        annotations.append({"id": number + 1, "image_id": number, **box})
    categories = [{"id": 7, "name": "ball"}]
    whole = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "boxes.json").write_text(json.dumps(whole))
    (folder / "3.png").write_bytes(b"no image")
    return folder


def test_parse_writes_the_store_of_graphmatch_parse(run, captions, tmp_path):
    assert run("parse", captions, "--out", tmp_path / "a", "--part-rows", 2)[0] == 0
    arguments = ("corpus", "parse", captions, "--shard-size", 2, "--workers", 1)
    code, text, err = run(*arguments, "--out", tmp_path / "b")
    assert (code, err) == (0, "")
    assert "3 captions: 3 became graphs, 0 failed" in text
    assert content(tmp_path / "a") == content(tmp_path / "b")
    (tmp_path / "b" / "part-00001.parquet").unlink()
    code, text, _ = run(*arguments, "--out", tmp_path / "b")
    assert "2 captions were kept" in text
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_regions_writes_the_store_of_graphmatch_regions(run, scenes, tmp_path):
    options = (scenes, "--detector", scenes / "boxes.json", "--features", "none")
    assert run("regions", *options, "--batch-size", 2, "--out", tmp_path / "a")[0] == 3
    arguments = ("corpus", "regions", *options, "--batch-size", 2, "--shard-size", 2)
    code, text, err = run(*arguments, "--workers", 1, "--out", tmp_path / "b")
    assert (code, err) == (3, "")
    assert "5 images: 4 done, with 8 regions; 1 failed" in text
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_encode_writes_what_can_be_read_back(run, captions, store, scenes, tmp_path):
    regions = tmp_path / "regions"
    options = ("--detector", scenes / "boxes.json", "--workers", 1)
    assert run("corpus", "regions", scenes, *options, "--out", regions)[0] == 3
    words = Vocabulary((*SCAN_SPECIALS, "a", "horse"), "<unk>")
    config = SCANConfig(vocabulary=6, feature_size=1392, word_size=3, embed_size=4)
    save_checkpoint(tmp_path / "scan", SCAN(config), words)
    base = ("corpus", "encode", "--checkpoint", tmp_path / "scan", "--workers", 1)
    code, text, err = run(*base, "--captions", store, "--out", tmp_path / "t")
    assert (code, err) == (0, "")
    assert "3 items: 3 encoded, 0 failed" in text
    code, text, err = run(*base, "--visual", regions, "--out", tmp_path / "v")
    assert (code, err) == (3, "")
    assert "5 items: 4 encoded, 1 failed" in text
    assert "  3: " in text
    assert read_encoded(tmp_path / "t", checkpoint=tmp_path / "scan").ids == ["1", "2", "3"]
    assert read_encoded(tmp_path / "v").ids == ["0", "1", "2", "4"]
    code, text, _ = run(*base, "--captions", store, "--out", tmp_path / "t")
    assert "3 items were kept from an earlier run" in text


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("parse", "{captions}", "--engine", "rai"), "did you mean 'ray'"),
        (("parse", "{captions}", "--address", "auto"), "expected --engine ray"),
        (("encode", "--checkpoint", "c"), "expected either --captions or --visual"),
        (("encode", "--checkpoint", "c", "--captions", "a", "--visual", "b"), "one store a run"),
        (("encode", "--checkpoint", "c", "--captions", "a"), "expected a graph store"),
    ],
)
def test_wrong_options_are_one_line(run, captions, tmp_path, arguments, problem):
    given = [argument.format(captions=captions) for argument in arguments]
    code, _, err = run("corpus", *given, "--out", tmp_path / "s")
    assert code == 1
    assert problem in err
    assert err.count("\n") == 1
