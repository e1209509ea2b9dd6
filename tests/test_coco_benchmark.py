"""`benchmarks/coco.py`: parts against independent computations, the whole on made-up data."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from graphmatch.bootstrap import paired_difference
from graphmatch.evaluate import evaluate_scores
from graphmatch.parse import Parse
from graphmatch.ranks import ranks
from graphmatch.score_file import new_scores

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
THINGS = ("dog", "cat", "car", "kite")
COLOURS = ("red", "black", "small", "old", "blue")


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))


def gzipped(path, content):
    path.write_bytes(gzip.compress(json.dumps(content).encode()))


@dataclass
class NamedPairs:
    """What score files and comparisons read of a `PairSet`."""

    owner: torch.Tensor
    gallery: list[int]
    visual_ids: list[str]
    text_ids: list[str]

    def __len__(self):
        return len(self.text_ids)


def world(folder, per_split=6):
    """Images of one thing each, with the files of the data that the benchmark reads."""
    rng = np.random.default_rng(0)
    (folder / "coco_regions").mkdir(parents=True)
    coco = folder / "coco_val2017"
    coco.mkdir()
    ids = {name: [1 + per_split * k + n for n in range(per_split)]
           for k, name in enumerate(("train", "val", "test"))}  # fmt: skip
    images, captions, boxes, items, lines = [], [], [], {"0": []}, []
    for image in [image for some in ids.values() for image in some]:
        thing = THINGS[image % len(THINGS)]
        images.append({"id": image, "width": 40, "height": 30})
        for number, colour in enumerate(COLOURS):
            text = f"A {colour} {thing} stands in the park."
            captions.append({"id": 10 * image + number, "image_id": image, "caption": text})
        if image != 1:  # one without boxes
            boxes.append({"image_id": image, "category_id": 1 + image % 4, "bbox": [2, 3, 10, 20]})
        wrong = f"A red {THINGS[(image + 1) % 4]} stands in the park."
        items["0"].append({"filename": f"{image:012}.jpg", "caption": captions[-5]["caption"],
                           "negative_caption": wrong})  # fmt: skip
        lines.append({"image_id": image, "caption": f"The {thing} is left of the tree.",
                      "label": image % 2, "relation": "left of"})  # fmt: skip
    gzipped(coco / "captions_val2017.json.gz", {"images": images, "annotations": captions})
    categories = [{"id": 1 + n, "name": name} for n, name in enumerate(THINGS)]
    content = {"images": images, "annotations": boxes, "categories": categories}
    gzipped(coco / "instances_val2017.json.gz", content)
    (coco / "splits.json").write_text(json.dumps(ids))
    gzipped(coco / "sugarcrepe.json.gz", {"replace_obj": dict(enumerate(items["0"]))})
    text = "\n".join(map(json.dumps, lines)).encode()
    (coco / "vsr_val2017.jsonl.gz").write_bytes(gzip.compress(text))
    rows = [f"sits,{10 * image},{image},{image % 5},x,val" for image in ids["val"]]
    text = "\n".join(["kind,a,b,score,sampling,cxc_split", *rows]).encode()
    (coco / "cxc.csv.gz").write_bytes(gzip.compress(text))
    for name, some in ids.items():
        np.savez(
            folder / "coco_regions" / f"regions_{name}.npz",
            image_id=np.array(some, np.int32),
            num_regions=np.full(len(some), 2, np.int16),
            boxes=np.tile(np.array([[4, 6, 24, 46], [0, 0, 80, 60]], np.int16), (len(some), 1)),
            score=np.tile(np.array([0.5, 1.0], np.float16), len(some)),
            category=np.array([[image % 4, -1] for image in some], np.int8).ravel(),
            features=rng.normal(size=(2 * len(some), 128)).astype(np.float16),
        )
    return folder


def test_shuffled_trees_keep_their_shape():
    from shuffled_parser import shuffle_tree

    parse = Parse.from_tree(
        ["a", "red", "dog", "runs", "it", "barks"],
        heads=[2, 2, 3, -1, 5, -1],
        deprels=["det", "amod", "nsubj", "root", "nsubj", "root"],
        sentences=[0, 0, 0, 0, 1, 1],
    )
    found = shuffle_tree(parse)
    assert (found.words, found.sentences) == (parse.words, parse.sentences)
    assert sorted(found.deprels) == sorted(parse.deprels)
    assert found == shuffle_tree(parse)

    def degrees(one):
        count = np.bincount([head for head in one.heads if head >= 0], minlength=len(one))
        return sorted(zip(count.tolist(), one.deprels, one.sentences, strict=True))

    assert degrees(found) == degrees(parse)
    assert any(
        shuffle_tree(Parse.from_tree(list(words), heads=[1, 2, -1], deprels=["x"] * 3)).heads
        != (1, 2, -1)
        for words in ("abc", "abd", "abe", "abf")
    )


def test_correlations_are_canonical(monkeypatch, assert_close):
    """Without a ridge: unit variances, correlations as values; scores find shared vectors."""
    import coco_linear

    rng = np.random.default_rng(1)
    shared = rng.normal(size=(60, 3))
    x = np.concatenate([shared @ rng.normal(size=(3, 5)), rng.normal(size=(60, 2))], axis=1)
    x += 0.1 * rng.normal(size=x.shape)
    owner = rng.permutation(np.repeat(np.arange(60), 5))
    y = shared[owner] @ rng.normal(size=(3, 4)) + 0.1 * rng.normal(size=(300, 4)) + 2
    for name in ("RIDGES_X", "RIDGES_Y"):
        monkeypatch.setattr(coco_linear, name, (0.0,))
    (found,) = coco_linear.correlations(x, y, owner)
    left, right = (x[owner] - x[owner].mean(0)) @ found.map_x, (y - y.mean(0)) @ found.map_y
    assert_close(left.T @ left / 300, np.eye(4))
    assert_close(left.T @ right / 300, np.diag(found.value).astype(np.float64))
    scores = found.scores(x, y, kept=3, power=1.0)
    recall = evaluate_scores(torch.from_numpy(scores), torch.from_numpy(owner)).rsum
    assert recall > 450  # of 600; by chance 60


def test_comparison_agrees_with_the_paired_bootstrap(tmp_path):
    from coco_compare import compare_runs

    owner = torch.arange(50).repeat_interleave(2)
    pairs = NamedPairs(owner, list(range(50)), [*map(str, range(50))], [*map(str, range(100))])
    right = (torch.arange(50)[:, None] == owner).float()
    torch.manual_seed(2)
    matrices = [strength * right + torch.randn(50, 100) for strength in (3, 2)]
    for number, matrix in enumerate(matrices):
        with new_scores(tmp_path / f"{number}.npy", pairs, dtype=np.dtype(np.float32)) as out:
            out[...] = matrix.numpy()
    found = compare_runs([tmp_path / "0.npy"], [tmp_path / "1.npy"], pairs)
    parts = [(ranks(matrix, owner), owner) for matrix in matrices]
    expected = paired_difference(parts[1], parts[0], resamples=2000).numbers["rsum"]
    assert found["value"] == pytest.approx(expected.value)
    assert found["seeds"] == [pytest.approx(expected.value)]
    for end in ("low", "high"):  # of other draws
        assert abs(found[end] - getattr(expected, end)) < expected.error / 4


@pytest.mark.parametrize("name", ["regions", "boxes"])
def test_recipes_have_fields_of_their_models(name):
    from coco_recipes import RECIPES

    from graphmatch.train_job import split_settings

    for recipe in RECIPES[name]:
        split_settings(recipe.model, [f"{k}={v}" for k, v in recipe.fields().items()])


def test_features_of_both_sets(tmp_path, assert_close):
    from coco_linear import annotated_vector
    from coco_stores import annotated_records, detected_records

    data = world(tmp_path / "data")
    found = next(detected_records(data, "train", 1))
    assert found.columns["feature"].shape == (2, 216)
    assert found.columns["feature"][0, 128 + 1] == 4  # 8 x 0.5 for the class of image 1
    assert found.columns["feature"][1, 128 + 80] == 8
    assert found.columns["box"].tolist() == [[2, 3, 12, 23], [0, 0, 40, 30]]
    bare, boxed = list(annotated_records(data, "train", 2))
    assert bare.columns["label"].tolist() == [-1]
    feature = boxed.columns["feature"]
    assert np.flatnonzero(feature[0]).tolist()[0] == 2
    box = np.array([0.05, 0.1, 0.3, 23 / 30, 0.25, 2 / 3, 1 / 6], np.float32)
    assert_close(feature[0, 81:88], 4 * box)
    assert feature[1, 97 + 2] == pytest.approx(4 * np.log(2))
    vector = annotated_vector(boxed.columns).reshape(-1)
    place = 160 + 9 * 2 + 3 * 1 + 0  # class 2, middle row, left column
    assert vector[place] == pytest.approx(np.log(2))
    assert vector[80 + 2] == pytest.approx((1 / 6) ** 0.5)


@pytest.mark.slow
def test_the_whole_benchmark(tmp_path):
    data = world(tmp_path / "data")
    command = [sys.executable, str(FOLDER / "coco.py"), str(data), "--out", str(tmp_path / "out")]
    command += ["--set", "boxes", "--seeds", "1", "--threads", "1"]
    command += ["--only", "gsmn-paper-sparse", "gsmn-paper-shuffled"]
    extra = ["--extra", "epochs=1", "embed_size=16", "hardest_after=0", "batch_size=6"]

    def run(*more):
        return subprocess.run(
            [*command, *more, *extra], capture_output=True, text=True, check=False
        )

    done = run()
    assert done.returncode == 0, done.stderr
    assert "### What structure is worth" in done.stdout
    result = json.loads((tmp_path / "out" / "boxes.json").read_text())
    assert {key: len(runs) for key, runs in result["models"].items()} == {
        "scan-t2i": 1, "gsmn-paper-sparse": 1, "gsmn-paper-shuffled": 1,
    }  # fmt: skip
    numbers = result["models"]["gsmn-paper-sparse"][0]
    assert numbers["test"]["captions"] == 30
    assert numbers["compositional"]["sugarcrepe"]["overall"]["matcher"]["count"] == 12
    again = run()
    assert again.stdout == done.stdout
    assert "rsum" not in again.stderr
    extra.append("lr=3e-3")
    other = run()
    assert other.returncode == 1
    assert "made with other settings" in other.stdout
