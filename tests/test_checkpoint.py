"""Checkpoints: what is saved comes back, all of it or nothing."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from graphmatch.checkpoint import load_checkpoint, save_checkpoint
from graphmatch.errors import CheckpointError, ConfigError
from graphmatch.models.table import MODELS, find_model
from graphmatch.vocab import Vocabulary
from tests.tiny_models import SIZES, tiny_encoder, tiny_model, tiny_vocabulary, tiny_words


@pytest.fixture
def folder(tmp_path):
    """A checkpoint of SCAN."""
    save_checkpoint(tmp_path / "a", tiny_model("scan"), tiny_vocabulary())
    return tmp_path / "a"


def same_state(one, two):
    one, two = one.state_dict(), two.state_dict()
    assert list(one) == list(two)
    for name, value in one.items():
        assert value.dtype == two[name].dtype, name
        assert torch.equal(value, two[name]), name


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_every_model_is_tried():
    assert SIZES.keys() == MODELS.keys()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_model_comes_back(tmp_path, name, dtype):
    model = tiny_model(name).to(dtype)
    vocabulary = tiny_words(name)
    save_checkpoint(tmp_path / "deep" / "a", model, vocabulary)
    state = torch.get_rng_state()
    again, words = load_checkpoint(tmp_path / "deep" / "a")
    assert torch.equal(state, torch.get_rng_state())
    assert type(again) is type(model)
    assert again.config == model.config
    assert type(words) is type(vocabulary)
    same = words == vocabulary if name != "marn" else words.digest() == vocabulary.digest()
    assert same
    assert not again.training
    same_state(model, again)
    trained = [name for name, value in model.named_parameters() if value.requires_grad]
    assert trained == [name for name, value in again.named_parameters() if value.requires_grad]


@pytest.mark.parametrize(
    "options",
    [{"weight_norm": True}, {"bidirectional": False}, {"direction": "i2t", "scale": 4.0}],
)
def test_options_come_back(tmp_path, options):
    model = tiny_model("scan", **options)
    save_checkpoint(tmp_path / "a", model, tiny_vocabulary())
    again, _ = load_checkpoint(tmp_path / "a")
    assert again.config == model.config
    same_state(model, again)


def test_the_files_can_be_read_without_the_library(folder):
    content = json.loads((folder / "config.json").read_text())
    assert (content["format"], content["version"]) == ("graphmatch-checkpoint", 1)
    assert content["model"] == "scan"
    assert content["config"]["embed_size"] == 4
    assert load_file(folder / "model.safetensors")["words.embedding.weight"].shape == (7, 3)
    assert len(Vocabulary.load(folder / "vocab.json")) == 7


def test_saving_again_needs_force(folder):
    before = (folder / "model.safetensors").read_bytes()
    other = tiny_model("scan", seed=1)
    with pytest.raises(ConfigError, match="--force"):
        save_checkpoint(folder, other, tiny_vocabulary())
    assert (folder / "model.safetensors").read_bytes() == before
    save_checkpoint(folder, other, tiny_vocabulary(), force=True)
    same_state(load_checkpoint(folder)[0], other)
    assert [path.name for path in folder.parent.iterdir()] == ["a"]


def test_saving_to_a_link_keeps_the_link(folder):
    link = folder.parent / "best"
    link.symlink_to("a")
    save_checkpoint(link, tiny_model("scan", seed=1), tiny_vocabulary(), force=True)
    assert link.is_symlink()
    same_state(load_checkpoint(folder)[0], tiny_model("scan", seed=1))


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "a").mkdir()
    save_checkpoint(tmp_path / "a", tiny_model("scan"), tiny_vocabulary())
    assert load_checkpoint(tmp_path / "a")


@pytest.mark.parametrize("force", [False, True])
def test_foreign_files_are_never_touched(folder, force):
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"got \['notes.txt'\]"):
        save_checkpoint(folder, tiny_model("scan"), tiny_vocabulary(), force=force)
    assert (folder / "notes.txt").read_text() == "mine"
    with pytest.raises(ConfigError, match="got a file"):
        save_checkpoint(folder / "notes.txt", tiny_model("scan"), tiny_vocabulary(), force=force)


def test_what_cannot_be_saved_leaves_nothing(tmp_path):
    model = tiny_model("scan")
    with pytest.raises(CheckpointError, match=r"vocabulary of 7 words.*\(got 3\)"):
        save_checkpoint(tmp_path / "a", model, tiny_vocabulary(3))
    with torch.no_grad():
        model.words.embedding.weight[2, 1] = torch.nan
    with pytest.raises(CheckpointError, match=r"NaN in words\.embedding\.weight"):
        save_checkpoint(tmp_path / "a", model, tiny_vocabulary())
    model.config = tiny_model("scan")  # no configuration
    with pytest.raises(ConfigError, match="expected a configuration"):
        save_checkpoint(tmp_path / "a", model, tiny_vocabulary())
    linear = torch.nn.Linear(2, 2)
    linear.config = tiny_model("scan").config
    with pytest.raises(ConfigError, match=r"expected a model of the library.*got Linear"):
        save_checkpoint(tmp_path / "a", linear, tiny_vocabulary())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_interrupted_save_keeps_the_old_checkpoint(folder, monkeypatch, error):
    from pathlib import Path

    rename = Path.rename

    def fail(self, target):
        if self.name == "new":
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(type(error)):
        save_checkpoint(folder, tiny_model("scan", seed=1), tiny_vocabulary(), force=True)
    monkeypatch.undo()
    same_state(load_checkpoint(folder)[0], tiny_model("scan"))
    assert [path.name for path in folder.parent.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format="other"), "expected format graphmatch-checkpoint"),
        (lambda c: c.update(version="1"), "version '1'"),
        (lambda c: c.update(version=2), "version 1 or older .got 2.*newer graphmatch"),
        (lambda c: c.pop("model"), "damaged"),
        (lambda c: c.update(model="scam"), "did you mean 'scan'"),
        (lambda c: c.update(model=["scan"]), "damaged"),
        (lambda c: c.update(config=[]), "damaged"),
        (lambda c: c["config"].update(embed_sise=4), "did you mean 'embed_size'"),
        (lambda c: c["config"].update(embed_size="4"), "embed_size: expected a whole number"),
        (lambda c: c["config"].update(direction="up"), "direction"),
        (lambda c: c["config"].update(vocabulary=9), "vocabulary of 9 words"),
        (lambda c: c["config"].update(embed_size=5), r"linear.weight: expected \[5, 5\] float32"),
        (lambda c: c["config"].update(embed_size=10**7), "do not fit the model"),
        (lambda c: c["config"].update(embed_size=10**9), "impossible sizes"),
        (lambda c: c["config"].update(embed_size=10**30), "impossible sizes"),
        (lambda c: c["config"].update(bidirectional=False), "unexpected .*_reverse"),
        (lambda c: c["config"].update(weight_norm=True), "missing .*original0"),
    ],
)
def test_a_damaged_configuration(folder, change, message):
    edit(folder / "config.json", change)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "\xff"])
def test_a_configuration_that_is_no_json(folder, text):
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.json"])
def test_missing_and_cut_files(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(folder)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"no {name}"):
        load_checkpoint(folder)


def test_weights_that_do_not_fit(folder):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    name = "words.embedding.weight"

    def attempt(changed):
        save_file(changed, path)
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(folder)
        return str(caught.value)

    rest = {key: value for key, value in tensors.items() if key != name}
    message = attempt({**rest, "words.embeding.weight": tensors[name]})
    assert f"missing {name}" in message
    assert f"unexpected words.embeding.weight (for {name}?)" in message
    assert f"{name}: expected [7, 3] float32 (got [3, 7] float32)" in attempt(
        {**rest, name: tensors[name].T.contiguous()}
    )
    assert f"{name}: expected [7, 3] float32 (got [7, 3] float64)" in attempt(
        {**rest, name: tensors[name].double()}
    )
    assert f"infinite ones or NaN in {name}" in attempt({**rest, name: tensors[name] / 0})
    assert "missing" in attempt({})
    assert "unexpected '\\x1b[2J'" in attempt({**tensors, "\33[2J": tensors[name].clone()})


def test_a_full_disk_is_no_fault_of_the_library(folder, monkeypatch):
    import safetensors.torch

    def full(*_, **__):
        raise safetensors.SafetensorError("I/O error: no space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OSError, match=r"could not be written.*no space left"):
        save_checkpoint(folder, tiny_model("scan", seed=1), tiny_vocabulary(), force=True)
    same_state(load_checkpoint(folder)[0], tiny_model("scan"))
    assert [path.name for path in folder.parent.iterdir()] == ["a"]


def test_a_run_without_a_best_checkpoint(tmp_path):
    save_checkpoint(tmp_path / "run" / "last", tiny_model("scan"), tiny_vocabulary())
    with pytest.raises(CheckpointError, match=r"got none yet.*last is that of its last epoch"):
        load_checkpoint(tmp_path / "run")


def test_no_checkpoint_at_all(tmp_path):
    with pytest.raises(CheckpointError, match=r"no config.json, model.safetensors, vocab.json"):
        load_checkpoint(tmp_path / "none")


def test_unknown_models():
    with pytest.raises(ConfigError, match=r"unknown model 'gsm'.*did you mean 'gsmn'"):
        find_model("gsm")


def test_a_model_of_another_task_is_refused(tmp_path, folder):
    save_checkpoint(tmp_path / "drn", tiny_model("drn"), tiny_vocabulary())
    assert load_checkpoint(tmp_path / "drn", task="ground")
    with pytest.raises(ConfigError, match=r"drn: expected one of scan, .* graphmatch ground"):
        load_checkpoint(tmp_path / "drn", task="match")
    with pytest.raises(ConfigError, match=r"expected one of drn \(got scan, .* graphmatch search"):
        load_checkpoint(folder, task="ground")
    save_checkpoint(tmp_path / "marn", tiny_model("marn"), tiny_encoder())
    with pytest.raises(ConfigError, match=r"expected one of drn \(got marn, .* with --clicks"):
        load_checkpoint(tmp_path / "marn", task="ground")


def test_a_model_of_clicks_has_an_encoder(tmp_path):
    with pytest.raises(CheckpointError, match="got marn with a Vocabulary"):
        save_checkpoint(tmp_path / "a", tiny_model("marn"), tiny_vocabulary())
    with pytest.raises(CheckpointError, match="got scan with a ClickEncoder"):
        save_checkpoint(tmp_path / "a", tiny_model("scan"), tiny_encoder())
    other = tiny_encoder()
    other.schema = dataclasses.replace(other.schema, items=other.schema.items[:2])
    with pytest.raises(CheckpointError, match=r"modalities \['title'\]"):
        save_checkpoint(tmp_path / "a", tiny_model("marn"), other)
    assert not (tmp_path / "a").exists()
