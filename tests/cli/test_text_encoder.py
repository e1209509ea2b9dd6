"""Training with the states of a pretrained transformer."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from graphmatch.caption_set import CaptionSet
from graphmatch.checkpoint import load_checkpoint
from graphmatch.datasets.captions import Caption
from graphmatch.errors import CheckpointError, ConfigError
from graphmatch.feature_store import FeatureStore
from graphmatch.models.table import MATCHERS
from graphmatch.pair_set import PairSet
from graphmatch.parse_job import parse_captions
from graphmatch.store import GraphStore
from graphmatch.train_job import TrainJob, train_stores
from graphmatch.train_keeper import Keeper
from graphmatch.train_matcher import validate
from tests.tiny_bert import save_bert
from tests.train_world import COLOURS, THINGS, TINY, make_store

SIZES = {name: [f"{k}={v}" for k, v in one.items() if k != "dropout"] for name, one in TINY.items()}


@pytest.fixture(scope="module")
def world(tmp_path_factory, parser):
    folder = tmp_path_factory.mktemp("world")
    make_store(folder / "regions")
    captions = [
        Caption(id=f"{colour}-{thing}", owner=f"{colour}-{thing}", text=f"A {colour} {thing} runs.")
        for colour in COLOURS
        for thing in THINGS
    ]
    parse_captions(captions, folder / "captions", parser=parser)
    save_bert(folder / "bert")
    return folder


def job(world, out, *settings, model="scan", **options):
    return TrainJob(
        model=model,
        captions=world / "captions",
        visual=world / "regions",
        val_captions=world / "captions",
        out=out,
        settings=[*SIZES[model], "batch_size=8", "lr=1e-2", "schedule=constant", *settings],
        **{"text_encoder": world / "bert", **options},
    )


@pytest.mark.parametrize("model", sorted(MATCHERS))
def test_every_matcher_trains_and_its_checkpoint_is_whole(world, tmp_path, model):
    epochs = "epochs=1" if model == "gsmn" else "epochs=3"
    report = train_stores(job(world, tmp_path / "run", epochs, "precision=fp32", model=model))
    matcher, vocabulary = load_checkpoint(tmp_path / "run")
    assert {"a", "dog", "boat", "blue", "w"} <= set(vocabulary.words)  # boat: of a caption alone
    assert matcher.config.pretrained.size == 8
    captions = CaptionSet.for_matcher(GraphStore(world / "captions"), vocabulary, matcher)
    found = validate(matcher, PairSet(captions, FeatureStore(world / "regions")))
    assert found.rsum == pytest.approx(report.progress.best_rsum, abs=0.1)


def test_the_transformer_is_not_trained(world, tmp_path):
    train_stores(job(world, tmp_path / "run", "epochs=1", "cell=linear", "dropout=[0.1,0.1]"))
    matcher, _ = load_checkpoint(tmp_path / "run")
    other = load_checkpoint(tmp_path / "run" / "last")[0]
    first = save_bert(tmp_path / "again")
    norm = dict(first.named_parameters())["embeddings.LayerNorm.weight"]
    assert torch.equal(matcher.words.pieces.norm.weight, norm)
    assert torch.equal(other.words.pieces.norm.weight, norm)
    assert matcher.words.linear.weight.shape == (16, 8 + 8)


@pytest.mark.slow
def test_a_stopped_training_goes_on_to_the_bit(world, tmp_path):
    settings = ("epochs=3", "cell=linear", "dropout=[0.2,0.2]", "save_steps=2")
    train_stores(job(world, tmp_path / "whole", *settings))

    class StopError(Exception):
        pass

    usual, calls = Keeper.write, []

    def stop(self, line):
        calls.append(line)
        if len(calls) == 6:
            raise StopError
        usual(self, line)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Keeper, "write", stop)
        with pytest.raises(StopError):
            train_stores(job(world, tmp_path / "parts", *settings))
    train_stores(job(world, tmp_path / "parts", *settings))
    for name in ("best", "last"):
        files = [tmp_path / run / name / "model.safetensors" for run in ("whole", "parts")]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_what_contradicts_a_text_encoder(world, tmp_path):
    train_stores(job(world, tmp_path / "run", "epochs=1"))
    with pytest.raises(ConfigError, match="--text-encoder, the checkpoint has words"):
        train_stores(job(world, tmp_path / "other", init=tmp_path / "run"))
    with pytest.raises(ConfigError, match="cannot be set"):
        train_stores(job(world, tmp_path / "other", "pretrained=null"))
    begun = job(world, tmp_path / "begun", "epochs=1", init=tmp_path / "run", text_encoder=None)
    assert train_stores(begun).progress.finished


def test_damaged_sizes_in_a_checkpoint(world, tmp_path):
    train_stores(job(world, tmp_path / "run", "epochs=1"))
    shutil.copytree(tmp_path / "run" / "best", tmp_path / "copy")
    path = tmp_path / "copy" / "config.json"
    content = json.loads(path.read_text())
    assert content["config"]["pretrained"]["heads"] == 2
    for change in ({"heads": 3}, {"headz": 2}, {"layers": 1}):
        sizes = {**content["config"]["pretrained"], **change}
        path.write_text(
            json.dumps({**content, "config": {**content["config"], "pretrained": sizes}})
        )
        with pytest.raises(CheckpointError):
            load_checkpoint(tmp_path / "copy")


def test_the_command(run, world, tmp_path):
    base = ("--captions", world / "captions", "--visual", world / "regions")
    sets = [part for one in [*SIZES["scan"], "epochs=1"] for part in ("--set", one)]
    code, text, err = run(
        "train", "scan", *base, "--out", tmp_path / "run", "--text-encoder", world / "bert", *sets
    )
    assert (code, err) == (0, "")
    assert "pretrained=" in text
    code, _, err = run("train", "scan", *base, "--out", tmp_path / "x", "--text-encoder", world)
    assert code == 1
    assert "tokenizer.json" in err
