"""Encoded items in a folder: `encode_corpus`, `read_encoded`."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from graphmatch.caption_set import CaptionSet
from graphmatch.checkpoint import save_checkpoint
from graphmatch.datasets.captions import Caption
from graphmatch.encode import encode_texts, encode_visuals
from graphmatch.encode_job import encode_corpus
from graphmatch.encoded import Encoded
from graphmatch.encoded_columns import read_columns, write_columns
from graphmatch.encoded_store import read_encoded
from graphmatch.errors import CheckpointError, ConfigError, FormatError
from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_store import FeatureStore
from graphmatch.feature_writer import FeatureWriter
from graphmatch.models.gsmn import GSMN, GSMNConfig
from graphmatch.models.hgr import HGR, HGRConfig
from graphmatch.parse_job import parse_captions
from graphmatch.scoring import score_matrix
from graphmatch.store import GraphStore
from graphmatch.vocab import SCAN_SPECIALS, Vocabulary

WORDS = Vocabulary((*SCAN_SPECIALS, "a", "man", "dogs", "horse", "."), "<unk>")


def gsmn(seed):
    torch.manual_seed(seed)
    return GSMN(GSMNConfig(vocabulary=len(WORDS), feature_size=5, word_size=4, embed_size=8,
                           blocks=4))  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory, parser):
    """Captions, regions and clips in stores, and checkpoints."""
    folder = tmp_path_factory.mktemp("world")
    texts = ["A man rides a horse.", "", "Two dogs chase a ball in the park.", "A horse."]
    captions = [Caption(id=str(n), owner=str(n), text=texts[n % 4]) for n in range(14)]
    parse_captions(captions, folder / "graphs", parser=parser, part_rows=5)
    random = np.random.default_rng(3)
    for kind in ("regions", "clips"):
        with FeatureWriter(folder / kind, kind=kind, job={}) as writer:
            for number in range(7):
                rows = 1 + number % 3
                columns = {"feature": random.standard_normal((rows, 5)).astype(np.float32)}
                if kind == "regions":
                    corners = np.sort(random.random((rows, 2, 2)) * 90, axis=1)
                    columns["box"] = corners.reshape(rows, 4).astype(np.float32)
                    columns["size"] = np.array([100, 100], np.int32)
                else:
                    start = np.arange(rows, dtype=np.float64)
                    columns |= {"time": np.stack([start, start + 1], 1), "duration": np.float64(9)}
                error = "no such file" if number == 4 else None
                columns = {} if error else columns
                writer.add(FeatureRecord(id=f"v{number}", columns=columns, error=error))
    save_checkpoint(folder / "gsmn", gsmn(0), WORDS)
    save_checkpoint(folder / "other", gsmn(1), WORDS)
    torch.manual_seed(0)
    config = HGRConfig(vocabulary=len(WORDS), feature_size=5, word_size=4, embed_size=8,
                       attention=4, layers=1)  # fmt: skip
    save_checkpoint(folder / "hgr", HGR(config), WORDS)
    return folder


def encode(world, out, side="text", model="gsmn", **options):
    visual = "regions" if model == "gsmn" else "clips"
    source = world / ("graphs" if side == "text" else visual)
    return encode_corpus(source, out, checkpoint=world / model, side=side, **options)


@pytest.mark.parametrize("model", ["gsmn", "hgr"])
def test_scores_are_those_of_items_that_were_never_stored(world, tmp_path, assert_close, model):
    report = encode(world, tmp_path / "t", model=model, shard_size=4)
    assert (report.items, report.failed, report.parts, report.kept) == (14, 4, 4, 0)
    report = encode(world, tmp_path / "v", side="visual", model=model, shard_size=3)
    assert (report.items, report.failed, report.parts, report.kept) == (7, 1, 3, 0)
    assert report.failures == [["v4", "no such file"]]
    text = read_encoded(tmp_path / "t", checkpoint=world / model)
    visual = read_encoded(tmp_path / "v", checkpoint=world / model)
    assert visual.failures == [("v4", "no such file")]
    assert [key for key, _ in text.failures] == ["1", "5", "9", "13"]
    assert "empty" in text.failures[0][1]
    from graphmatch.checkpoint import load_checkpoint

    matcher, vocabulary = load_checkpoint(world / model)
    captions = CaptionSet.for_matcher(GraphStore(world / "graphs"), vocabulary, matcher)
    store = FeatureStore(world / ("regions" if model == "gsmn" else "clips"))
    graphs = [store.graph(key) for key in visual.ids]
    assert text.ids == captions.ids
    assert visual.ids == [f"v{n}" for n in (0, 1, 2, 3, 5, 6)]
    direct = encode_texts(matcher, captions)
    assert_close(Encoded.cat(text.chunks).nodes, Encoded.cat(direct).nodes)
    with torch.no_grad():
        assert_close(
            score_matrix(matcher, visual.chunks, text.chunks),
            score_matrix(matcher, encode_visuals(matcher, graphs), direct),
        )


def test_columns_give_back_exactly_what_was_written():
    random = torch.Generator().manual_seed(0)
    mask = torch.tensor([[True, False, True, False], [False] * 4, [True] * 4])
    items = Encoded(
        nodes=torch.randn(3, 4, 2, generator=random) * mask.unsqueeze(2),
        mask=mask,
        extra={
            "edges": mask.unsqueeze(1) & mask.unsqueeze(2),
            "kind": mask.long(),
            "whole": torch.randn(3, 2, 2, generator=random, dtype=torch.float64),
        },
        node_axes={"edges": (1, 2), "kind": (1,)},
    )
    table, layout = write_columns([items[:2].trim(), items[2:]], ["a", "b", "c"], [["d", "bad"]])
    again = read_columns(table.slice(0, 3), json.loads(json.dumps(layout)))
    assert again.node_axes == items.node_axes
    assert again.pooled is None
    for name in ("nodes", "mask"):
        assert torch.equal(getattr(again, name), getattr(items, name))
    for name, value in items.extra.items():
        assert torch.equal(again.extra[name], value)
    narrow = read_columns(table.slice(0, 2), layout)
    assert narrow.nodes.shape == (2, 3, 2)
    with pytest.raises(FormatError, match="bfloat16"):
        write_columns([items.to(dtype=torch.bfloat16)], ["a", "b", "c"], [])


def test_a_rerun_makes_only_what_is_missing(world, tmp_path):
    encode(world, tmp_path / "t", shard_size=4)
    files = {path.name: path.read_bytes() for path in (tmp_path / "t").iterdir()}
    (tmp_path / "t" / "part-00001.parquet").unlink()
    damaged = bytearray(files["part-00002.parquet"])
    damaged[100] ^= 255
    (tmp_path / "t" / "part-00002.parquet").write_bytes(damaged)
    (tmp_path / "t" / "part-00003.parquet.77.tmp").write_bytes(b"half")
    with pytest.raises(FormatError, match="part-00001"):
        read_encoded(tmp_path / "t")
    seen = []
    report = encode(world, tmp_path / "t", shard_size=4, progress=seen.append)
    assert report.kept == 6
    assert seen == [4, 4, 4, 2]
    assert {path.name: path.read_bytes() for path in (tmp_path / "t").iterdir()} == files


def test_another_checkpoint_is_an_error(world, tmp_path):
    encode(world, tmp_path / "t")
    with pytest.raises(CheckpointError, match="encode them again"):
        read_encoded(tmp_path / "t", checkpoint=world / "other")
    with pytest.raises(ConfigError, match="another job"):
        encode_corpus(world / "graphs", tmp_path / "t", checkpoint=world / "other", side="text")
    encode_corpus(world / "graphs", tmp_path / "o", checkpoint=world / "other", side="text")
    shutil.copy(tmp_path / "o" / "part-00000.parquet", tmp_path / "t" / "part-00000.parquet")
    with pytest.raises(FormatError, match="part of the checkpoint"):
        read_encoded(tmp_path / "t")
    report = encode(world, tmp_path / "t")  # a part of another checkpoint is not kept
    assert report.kept == 0
    assert read_encoded(tmp_path / "t", checkpoint=world / "gsmn").ids


def test_items_that_the_matcher_cannot_read_fail_alone(world, tmp_path, monkeypatch):
    work = GSMN.encode_visual

    def picky(self, visuals):
        if (visuals.ptr.diff() == 3).any():
            raise RuntimeError("three regions are too many")
        return work(self, visuals)

    monkeypatch.setattr(GSMN, "encode_visual", picky)
    report = encode(world, tmp_path / "v", side="visual")
    assert [key for key, _ in report.failures] == ["v4", "v2", "v5"]
    assert report.failures[1][1] == "RuntimeError: three regions are too many"
    assert read_encoded(tmp_path / "v").ids == ["v0", "v1", "v3", "v6"]


def test_what_no_item_fits_is_said_at_once(world, tmp_path):
    columns = {
        "feature": np.ones((1, 7), np.float32),
        "box": np.array([[0, 0, 9, 9]], np.float32),
        "size": np.array([10, 10], np.int32),
    }
    with FeatureWriter(tmp_path / "wide", kind="regions", job={}) as writer:
        writer.add(FeatureRecord(id="1", columns=columns))
    with pytest.raises(ConfigError, match=r"expected features of 5 numbers.*got 7"):
        encode_corpus(tmp_path / "wide", tmp_path / "v", checkpoint=world / "gsmn", side="visual")
    with pytest.raises(ConfigError, match="unknown device 'gpu'"):
        encode(world, tmp_path / "t", device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="no CUDA"):
            encode(world, tmp_path / "t", device="cuda:0")


def test_wrong_input(world, tmp_path):
    with pytest.raises(FormatError, match="graphmatch-graphs"):
        encode_corpus(world / "regions", tmp_path / "t", checkpoint=world / "gsmn", side="text")
    with pytest.raises(ConfigError, match="shard_size"):
        encode(world, tmp_path / "t", shard_size=0)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        encode_corpus(world / "graphs", tmp_path / "t", checkpoint=tmp_path, side="text")
    with pytest.raises(FormatError, match="corpus encode"):
        read_encoded(tmp_path)
    assert not (tmp_path / "t").exists()
    store = GraphStore(world / "graphs")
    assert [row.id for row in store.between(3, 12)] == [str(n) for n in range(3, 12)]
    assert list(store.between(20, 30)) == []
