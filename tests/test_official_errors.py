"""Official checkpoints that do not fit: every problem is named, and nothing is imported."""

from __future__ import annotations

import collections
from functools import partial

import numpy as np
import pytest
import torch

from graphmatch.errors import CheckpointError, ConfigError
from graphmatch.official_checkpoint import import_official
from graphmatch.official_hgr import read_model_json
from tests import official_files
from tests.official_files import (
    FORMS,
    golden,
    gsmn_content,
    hgr_content,
    imram_content,
    model_json,
    scan_content,
)
from tests.tiny_models import tiny_vocabulary


@pytest.fixture
def write(tmp_path):
    """`write(content, form)` -> path of a file."""
    return partial(official_files.write, tmp_path)


@pytest.fixture
def scan(tmp_path):
    """`scan(change, **settings)` -> what comes of a golden SCAN checkpoint with changes."""
    return partial(official_files.import_scan, tmp_path)


def set_tensor(part, name, value):
    def change(content):
        state = content["model"][part]
        state[name] = value(state[name])

    return change


def set_option(**options):
    return lambda content: vars(content["opt"]).update(options)


def drop(part, name):
    return lambda content: content["model"][part].pop(name)


def rename(part, old, new):
    def change(content):
        state = content["model"][part]
        state[new] = state.pop(old)

    return change


def with_nan(value):
    value = value.clone()
    value.view(-1)[-1] = torch.nan
    return value


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop(0, "fc.bias"), r"missing img_enc\.fc\.bias"),
        (drop(0, "fc.weight"), r"expected a matrix img_enc\.fc\.weight"),
        (drop(1, "rnn.weight_hh_l0"), r"missing txt_enc\.rnn\.weight_hh_l0"),
        (
            rename(1, "rnn.bias_hh_l0", "rnn.bias_hh"),
            r"unexpected txt_enc\.rnn\.bias_hh \(for txt_enc\.rnn\.bias_hh_l0\?\)",
        ),
        (
            set_tensor(0, "fc.bias", lambda x: x[:-1]),
            r"fc\.bias: expected \[32\] float32 \(got \[31",
        ),
        (set_tensor(0, "fc.bias", torch.Tensor.double), r"\(got \[32\] float64\)"),
        (set_tensor(0, "fc.bias", torch.Tensor.half), r"\(got \[32\] float16\)"),
        (set_tensor(0, "fc.bias", with_nan), r"NaN in img_enc\.fc\.bias"),
        (set_tensor(1, "embed.weight", lambda x: x / 0), r"NaN in txt_enc\.embed\.weight"),
        (set_tensor(0, "fc.weight", lambda x: x[0]), "expected a matrix"),
        (set_tensor(0, "fc.weight", lambda x: x[:1].expand(10**6, 24)), "more numbers than it has"),
        (set_tensor(0, "fc.bias", lambda _: 3), r"fc\.bias: expected a tensor \(got int\)"),
        (set_option(embed_size=33), "embed_size: the options say 33, the tensors of the file 32"),
        (set_option(vocab_size=41), "vocabulary: the options say 41"),
        (set_option(word_dim="12"), "word_size: the options say '12'"),
        (set_option(bi_gru=False), "bidirectional: the options say False"),
        (set_option(precomp_enc_type="weight_norm"), "weight_norm: the options say True"),
        (set_option(precomp_enc_type="resnet"), "precomp_enc_type: expected one of 'basic'"),
        (set_option(cross_attn="both"), r"cross_attn: expected one of 't2i', 'i2t' \(got 'both'\)"),
        (set_option(raw_feature_norm="l1norm"), "raw_feature_norm: expected one of"),
        (set_option(lambda_softmax=-1.0), "scale: expected a number above 0"),
        (set_option(lambda_softmax="9"), "scale: expected a number"),
        (set_option(margin=[0.2]), "margin: expected a number"),
        (set_option(margin={}), "margin: expected a number or a string"),
        (set_option(agg_func=np.zeros(3)), "agg_func: expected a number or a string"),
        (set_option(num_layers=2), r"num_layers: expected 1 \(got 2\)"),
        (lambda content: content.pop("model"), "a dict with model"),
        (lambda content: content["model"].pop(), "a list of 2 state dicts .got 1 of them"),
        (lambda content: content.update(model={}), "a list of 2 state dicts .got dict"),
        (
            lambda content: content.update(model=[{}, 3]),
            "txt_enc: expected a dict with names .got int",
        ),
        (lambda content: content.update(opt=3), "opt: expected a dict with names"),
        (lambda content: content.update(epoch="x"), "epoch: expected a finite number"),
        (lambda content: content.update(best_rsum=float("nan")), "best_rsum: expected a finite"),
        (lambda content: content.update(opt={3: 4}), "opt: expected a dict with names"),
        (lambda content: content["model"][0].update({3: 4}), "img_enc: expected a dict"),
        (rename(1, "rnn.bias_hh_l0", "\33[2J"), "txt_enc: expected a dict with names"),
        (rename(1, "rnn.bias_hh_l0", "rnn." + "a" * 10**6), "txt_enc: expected a dict"),
        (lambda content: content.update({3: 4}), "expected a dict with names"),
    ],
)
def test_what_does_not_fit_is_named(scan, change, message, form):
    with pytest.raises(CheckpointError, match=message) as caught:
        scan(change, form=form)
    assert str(caught.value).count("model_best.pth.tar") == 1


def test_many_problems_are_told_at_once(scan):
    def change(content):
        content["model"][0].pop("fc.bias")
        content["model"][1]["extra"] = torch.ones(2)
        content["model"][1]["rnn.bias_hh_l0"] = torch.ones(2)

    with pytest.raises(CheckpointError) as caught:
        scan(change)
    for part in (
        "missing img_enc.fc.bias",
        "unexpected txt_enc.extra",
        "txt_enc.rnn.bias_hh_l0: expected [96] float32 (got [2] float32)",
    ):
        assert part in str(caught.value)


def test_the_same_numbers_many_times(scan):
    """A small file whose tensors share their numbers cannot ask for more memory than it has."""

    def change(content):
        state = content["model"][1]
        for number in range(1000):
            state[f"more{number}"] = state["embed.weight"]

    with pytest.raises(CheckpointError, match="more numbers than the file holds"):
        scan(change)


def test_another_vocabulary(scan):
    with pytest.raises(CheckpointError, match=r"vocabulary of 40 words.*\(got 41\)"):
        scan(words=41)


def test_settings_cannot_contradict_tensors(scan):
    with pytest.raises(CheckpointError, match="embed_size: the settings say 64"):
        scan(embed_size=64)
    with pytest.raises(ConfigError, match="did you mean 'margin'"):
        scan(margni=0.2)
    with pytest.raises(CheckpointError, match="scale: expected a number above 0"):
        scan(scale=-1.0)


def test_other_systems_are_not_confused(write):
    scan_file = scan_content(*golden("scan", "scan_t2i_lse"))
    for name in ("gsmn", "imram", "hgr", "global-match"):
        with pytest.raises(CheckpointError):
            import_official(name, write(scan_file), tiny_vocabulary(40))
    imram = imram_content(*golden("imram", "imram_full_k1"))
    hgr = hgr_content(golden("hgr", "hgr_default_a")[1])
    for content in (imram, hgr, [1], None, collections.OrderedDict(a=torch.ones(2))):
        with pytest.raises(CheckpointError):
            import_official("scan", write(content), tiny_vocabulary(40))
    with pytest.raises(ConfigError, match="did you mean 'imram'"):
        import_official("imran", write(imram), tiny_vocabulary(40))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"feat_dim": 4}, r"feat_dim: expected 8 \(got 4\)"),
        ({"num_block": 4, "feat_dim": 4}, "blocks: the options say 4, the tensors of the file 8"),
        ({"hid_dim": 32}, "hidden: the options say 32"),
        ({"out_dim": 2}, "out_dim: expected 1"),
        ({"no_imgnorm": True}, "no_imgnorm: expected False"),
    ],
)
def test_gsmn_options_that_do_not_fit(write, options, message):
    content = gsmn_content(*golden("gsmn", "gsmn_dense_small"))
    set_option(**options)(content)
    with pytest.raises(CheckpointError, match=message):
        import_official("gsmn", write(content), tiny_vocabulary(40))


@pytest.mark.parametrize(
    ("part", "options", "message"),
    [
        ("video_encoder", {"dim_fts": [20, 21]}, "feature_size: the options say 41"),
        ("video_encoder", {"dim_fts": 40}, "dim_fts: expected a list"),
        ("video_encoder", {"num_levels": 2}, "num_levels: expected 3"),
        ("video_encoder", {"share_enc": True}, "share_levels: the options say True"),
        ("text_encoder", {"gcn_attention": False}, "gcn_attention: expected True"),
        ("text_encoder", {"rnn_type": "lstm"}, "cell: the options say 'lstm'"),
        ("text_encoder", {"gcn_num_layers": 2}, "layers: the options say 2"),
        ("text_encoder", {"num_roles": 0}, "roles: the options say 0"),
        ("text_encoder", {"rnn_hidden_size": 16}, "rnn_hidden_size: expected 32"),
        ("text_encoder", {"dropout": 1.5}, "dropout: expected"),
        (None, {"loss_weights": [1, 2]}, "level_weights: expected"),
        (None, {"attn_fusion": "max"}, "attn_fusion: expected one of 'embed', 'sim'"),
    ],
)
def test_hgr_options_that_do_not_fit(write, tmp_path, part, options, message):
    config, tensors = golden("hgr", "hgr_default_a")
    (config if part is None else config[part]).update(options)
    given = read_model_json(model_json(tmp_path, config))
    with pytest.raises(CheckpointError, match=message):
        import_official("hgr", write(hgr_content(tensors)), tiny_vocabulary(50), options=given)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"subcfgs": 3}', '{"subcfgs": {}}', "[" * 10**5])
def test_other_json_than_hgr_s(tmp_path, text):
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(CheckpointError, match="expected"):
        read_model_json(tmp_path / "model.json")
    with pytest.raises(CheckpointError, match="expected JSON"):
        read_model_json(tmp_path / "none.json")
