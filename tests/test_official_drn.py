"""Official checkpoints of DRN: golden parameters in official files give golden predictions."""

from __future__ import annotations

import collections

import pytest
import torch

from graphmatch.errors import CheckpointError, FormatError
from graphmatch.official_checkpoint import import_official
from graphmatch.query_vocabulary import query_vocabulary, read_query_vocabulary
from graphmatch.vocab import Vocabulary
from tests import golden_drn
from tests.official_files import FORMS, golden, state_dict, write

CASES = ("forward_stage1_a", "forward_stage3_a")
EMBEDDING = "module.query_encoder.embedding.weight"


def content(name, prefix="module.", **more):
    """What the official code saves."""
    config, tensors = golden("drn", name)
    state = state_dict(tensors, "param.")
    state["fcos.head.centerness.bias"] = torch.zeros(1)
    named = collections.OrderedDict((prefix + key, value) for key, value in state.items())
    saved = {"epoch": 30, "state_dict": named, "loss": 1.25, "top1": 45.403, "top5": 88.011}
    return config, tensors, {**saved, **more}


def vocabulary(config):
    return query_vocabulary([" ".join(f"w{n}" for n in range(config["vocab_size"]))])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", CASES)
def test_golden_files(tmp_path, assert_close, name, form):
    config, tensors, saved = content(name)
    expected = golden_drn.official_model(config, tensors).eval()
    settings = {"clips": expected.config.clips, "scale": 32.0}
    model, report = import_official(
        "drn", write(tmp_path, saved, form), vocabulary(config), settings=settings
    )
    assert model.config == expected.config
    with torch.no_grad():
        one, two = (golden_drn.run(found, tensors)[0] for found in (model, expected))
    for found, wanted in zip(one.found, two.found, strict=True):
        assert torch.equal(found, wanted)
    text = str(report)
    assert report.epoch == 30
    assert "top1 45.403, top5 88.011 at IoU 0.5" in text
    assert "tensors that the network never uses were left out" in text
    assert f"{report.tensors} tensors" in text


def test_without_several_gpus_and_with_other_parts(tmp_path):
    config, _, saved = content("forward_stage1_a", prefix="", optimizer={})
    model, report = import_official("drn", write(tmp_path, saved), vocabulary(config))
    assert model.config.channels[1] == 2 * model.config.channels[0]
    assert "parts of the file that were not read: optimizer" in str(report)
    assert "clips=32" in str(report)  # what the file does not tell


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda saved: saved.pop("state_dict"), "expected a dict with state_dict"),
        (lambda saved: saved["state_dict"].pop(EMBEDDING), "expected a matrix"),
        (lambda saved: saved["state_dict"].pop("module.prop_fc.bias"), r"missing prop_fc\.bias"),
        (lambda saved: saved["state_dict"].update({"module.x": torch.ones(1)}), "unexpected x"),
        (lambda saved: saved["state_dict"]["module.prop_fc.bias"].fill_(torch.nan), "NaN"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, change, problem):
    config, _, saved = content("forward_stage1_a")
    change(saved)
    with pytest.raises(CheckpointError, match=problem):
        import_official("drn", write(tmp_path, saved), vocabulary(config))


def test_another_vocabulary_is_refused(tmp_path):
    _, _, saved = content("forward_stage1_a")
    with pytest.raises(CheckpointError, match="expected a vocabulary of"):
        import_official("drn", write(tmp_path, saved), query_vocabulary(["a b"]))


def test_vocabularies_of_ours_are_read_too(tmp_path):
    words = query_vocabulary(["person opens the door"])
    words.save(tmp_path / "vocab.json")
    assert read_query_vocabulary(tmp_path / "vocab.json") == words
    Vocabulary(("a", "<unk>"), "<unk>").save(tmp_path / "other.json")
    with pytest.raises(FormatError, match=r"expected word 0 for unknown words \(got 'a'\)"):
        read_query_vocabulary(tmp_path / "other.json")
