"""Official checkpoints: golden parameters in official files give golden scores; nothing is guessed.

Files are in the three forms that official code wrote: see `tests.official_files`.
"""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
import torch

from graphmatch.checkpoint import load_checkpoint, save_checkpoint
from graphmatch.graphs.batch import batch_graphs
from graphmatch.graphs.words import word_graph
from graphmatch.models import global_match
from graphmatch.models.global_match import GlobalMatchConfig
from graphmatch.official_checkpoint import import_official
from graphmatch.official_hgr import read_model_json
from tests import golden_gsmn, golden_hgr, golden_imram, golden_scan, official_files
from tests.official_files import (
    FORMS,
    GOLDEN,
    golden,
    gsmn_content,
    hgr_content,
    imram_content,
    model_json,
    scan_content,
)
from tests.tiny_models import tiny_vocabulary

SCAN = (
    "scan_t2i_lse",
    "scan_t2i_mean",
    "scan_i2t_lse",
    "scan_i2t_mean",
    "scan_weight_norm_encoder",
)
GSMN = ("gsmn_dense_small", "gsmn_dense_r36", "gsmn_sparse_small", "gsmn_sparse_r36")
IMRAM = ("imram_full_k1", "imram_full_k2_norm", "imram_full_k3", "imram_image_k2_norm",
         "imram_image_k3", "imram_text_k2_norm", "imram_text_k3")  # fmt: skip
HGR = ("hgr_default_a", "hgr_default_rect", "hgr_sim_lstm_2layer", "hgr_plain_shared")


@pytest.fixture
def write(tmp_path):
    """`write(content, form)` -> path of a file."""
    return partial(official_files.write, tmp_path)


@pytest.fixture
def scan(tmp_path):
    """`scan(change, **settings)` -> what comes of a golden SCAN checkpoint with changes."""
    return partial(official_files.import_scan, tmp_path)


def score(model, visuals, texts):
    with torch.no_grad():
        return model.score(model.encode_visual(visuals), model.encode_text(texts))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SCAN)
def test_scan(write, assert_close, name, form):
    config, tensors = golden("scan", name)
    path = write(scan_content(config, tensors), form)
    model, report = import_official("scan", path, tiny_vocabulary(config["vocab_size"]))
    expected = golden_scan.official_model(config, tensors)
    assert model.config == expected.config
    batch = golden_scan.official_batch(tensors)
    assert_close(score(model, batch.visual, batch.text), tensors["out.scores"])
    assert (report.epoch, report.best_rsum) == (17, 446.25)
    parameters = [value for key, value in tensors.items() if key.startswith("param.")]
    assert report.tensors == len(parameters)
    assert report.parameters == sum(value.numel() for value in parameters)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", GSMN)
def test_gsmn(write, assert_close, name, form):
    config, tensors = golden("gsmn", name)
    path = write(gsmn_content(config, tensors), form)
    model, report = import_official("gsmn", path, tiny_vocabulary(config["vocab_size"]))
    assert model.config == golden_gsmn.official_model(config, tensors).config
    assert model.config.propagation == "official"
    assert model.config.graph == ("sparse" if config["is_sparse"] else "dense")
    content = json.loads((GOLDEN / "gsmn" / f"{name}.json").read_text())
    batch = golden_gsmn.official_batch(tensors, content["dependencies"])
    assert_close(score(model, batch.visual, batch.text), tensors["out.scores"])
    assert report.epoch == 17


def test_gsmn_of_june_2020(write):
    config, tensors = golden("gsmn", "gsmn_dense_small")
    now, _ = import_official("gsmn", write(gsmn_content(config, tensors)), tiny_vocabulary(40))
    names = {"graph_convolution_1": "vGNN", "graph_convolution_3": "tGNN"}
    old = {}
    for key, value in tensors.items():
        for new_name, old_name in names.items():
            key = key.replace(new_name, old_name)
        old[key] = value
    model, _ = import_official("gsmn", write(gsmn_content(config, old)), tiny_vocabulary(40))
    for name, value in now.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", IMRAM)
def test_imram(write, assert_close, name, form):
    config, tensors = golden("imram", name)
    path = write(imram_content(config, tensors), form)
    model, _ = import_official("imram", path, tiny_vocabulary(config["vocab_size"]))
    assert model.config == golden_imram.official_config(config)
    batch = golden_scan.official_batch(tensors)
    scores = score(model, batch.visual, batch.text)
    assert_close(scores.double(), tensors["out.scores"].double())


def test_imram_without_several_gpus(write):
    config, tensors = golden("imram", "imram_full_k1")
    with_gpus, _ = import_official(
        "imram", write(imram_content(config, tensors)), tiny_vocabulary(40)
    )
    content = imram_content(config, {k.replace(".module.", "."): v for k, v in tensors.items()})
    model, report = import_official("imram", write(content), tiny_vocabulary(40))
    assert "lack module." in report.notes[0]
    for name, value in with_gpus.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", HGR)
def test_hgr(write, tmp_path, assert_close, name, form):
    config, tensors = golden("hgr", name)
    model, report = import_official(
        "hgr",
        write(hgr_content(tensors), form),
        tiny_vocabulary(50),
        options=read_model_json(model_json(tmp_path, config)),
    )
    assert model.config == golden_hgr.official_model(config, tensors).config
    texts = batch_graphs(golden_hgr.slot_graphs(tensors), follow=("word",))
    videos = golden_hgr.clip_graphs(tensors["in.attn_fts"], tensors["in.attn_lens"])
    assert_close(score(model, videos, texts), tensors["out.fused_scores"])
    assert (report.epoch, report.best_rsum) == (None, None)
    assert "num_nouns" in str(report)  # a limit of the reader, no field of the model


def test_hgr_from_shapes_and_settings(write):
    config, tensors = golden("hgr", "hgr_sim_lstm_2layer")
    settings = {"fusion": "sim", "negatives": "all", "level_weights": (1.0, 0.2, 0.3, 0.4)}
    path = write(hgr_content(tensors))
    model, report = import_official("hgr", path, tiny_vocabulary(50), settings=settings)
    assert model.config == golden_hgr.official_model(config, tensors).config
    assert "nothing in the file tells these, they have their defaults: scale=4.0" in str(report)
    plain = import_official("hgr", path, tiny_vocabulary(50))[0].config
    assert (plain.fusion, plain.cell, plain.layers, plain.attention) == ("embed", "lstm", 2, 16)


@pytest.mark.parametrize("form", FORMS)
def test_global_match(write, tmp_path, assert_close, form):
    config, tensors = golden("hgr", "globalmatch_a")
    model, _ = import_official(
        "global-match",
        write(hgr_content(tensors), form),
        tiny_vocabulary(50),
        options=read_model_json(model_json(tmp_path, config)),
    )
    assert model.config == GlobalMatchConfig(**golden_hgr.common_options(config))
    captions = zip(tensors["in.caption_ids"], tensors["in.caption_lens"].tolist(), strict=True)
    texts = batch_graphs([word_graph(ids[:n].tolist()) for ids, n in captions], follow=("word",))
    features = tensors["in.mp_fts"]
    videos = golden_hgr.clip_graphs(features.unsqueeze(1), torch.ones(len(features)).long())
    assert_close(score(model, videos, texts), tensors["out.scores"])
    assert set(global_match.official_keys(model.config)) == {
        key.removeprefix("param.") for key in tensors if key.startswith("param.")
    }


def test_an_imported_model_is_saved_like_any_other(scan, tmp_path):
    model, _ = scan()
    save_checkpoint(tmp_path / "out", model, tiny_vocabulary(40))
    again, _ = load_checkpoint(tmp_path / "out")
    assert again.config == model.config
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


# the report


def test_the_report_says_where_everything_is_from(scan):
    _, report = scan(lambda content: content.update(optimizer={}), margin=0.3)
    text = str(report)
    assert text.splitlines()[0] == "scan: 11 tensors, 10,112 parameters"
    assert "embed_size=32, " in text
    assert "direction='t2i', aggregation='lse'" in text
    assert "epoch: 17\nbest rsum in validation: 446.25\n" in text
    assert "note: parts of the file that were not read: optimizer" in text
    assert "note: margin is 0.3 as set; the options of the file say 0.2" in text
    assert "ignore_same=False" in text.partition("they have their defaults: ")[2]
    assert "do not concern the model: batch_size, data_name, learning_rate" in text


def test_a_file_without_options_gives_defaults_that_are_named(scan):
    def bare(content):
        for name in ("opt", "epoch", "best_rsum", "Eiters"):
            content.pop(name)

    model, report = scan(bare, direction="i2t")
    assert (model.config.direction, model.config.embed_size) == ("i2t", 32)
    assert report.epoch is None
    assert report.best_rsum is None
    assert "scale=9.0" in report.notes[0]
    assert "margin=0.2" in report.notes[0]
    assert "aggregation='lse'" in report.notes[0]
    assert "direction" not in report.notes[0]


@pytest.mark.parametrize("value", [446.25, np.float64(446.25), np.float32(446.25), 446])
def test_numbers_of_python_and_numpy(scan, value):
    _, report = scan(lambda content: content.update(best_rsum=value, epoch=np.int64(3)))
    assert (report.best_rsum, report.epoch) == (float(value), 3)
