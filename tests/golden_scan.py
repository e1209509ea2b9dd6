"""SCAN against golden vectors."""

from __future__ import annotations

import torch

from graphmatch.datasets.caption_ids import caption_ids
from graphmatch.datasets.treebank import treebank_words
from graphmatch.encoded import Encoded
from graphmatch.graphs.batch import MatchBatch
from graphmatch.graphs.region import RegionGraph
from graphmatch.graphs.words import word_graph
from graphmatch.models.scan import SCAN, SCANConfig, official_keys
from graphmatch.nn.hinge_loss import hinge_loss
from graphmatch.vocab import SCAN_SPECIALS, Vocabulary

AGGREGATION = {"LogSumExp": "lse", "Mean": "mean", "Max": "max", "Sum": "sum"}


def check_model(case, assert_close):
    tensors = case.tensors
    model = official_model(case.content["config"], tensors)
    batch = official_batch(tensors)
    visual, text = model.encode_visual(batch.visual), model.encode_text(batch.text)
    scores = model.score(visual, text)
    outputs = {
        "img_emb": visual.nodes,
        "cap_emb": text.nodes,
        "scores": scores,
        "loss_max_violation": model.loss(scores, batch.owner),
        "loss_sum": hinge_loss(scores, batch.owner, margin=model.config.margin, negatives="all"),
    }
    for name, output in outputs.items():
        assert_close(output, tensors[f"out.{name}"])
    with torch.no_grad():
        double = model.score(
            encoded(tensors["out.img_emb"].double()),
            encoded(tensors["out.cap_emb"].double(), text.mask),
        )
    assert_close(double, tensors["out.scores_float64"], "float64 looped")
    check_alignment(model, visual, text, tensors, assert_close)
    check_gradients(model, outputs["loss_max_violation"], tensors, assert_close)


def check_alignment(model, visual, text, tensors, assert_close):
    maps = model.align(visual, text)
    names = {name.split(".")[1] for name in tensors if name.startswith("out.cap")} - {"cap_emb"}
    assert names
    for name in names:
        caption = int(name.removeprefix("cap"))
        words = int(text.counts[caption])
        t2i = model.config.direction == "t2i"
        queries, contexts = (words, None) if t2i else (None, words)
        attention = maps.attention[:, caption, :contexts, :queries]
        assert_close(attention, tensors[f"out.{name}.attention"])
        assert_close(maps.attended[:, caption, :queries], tensors[f"out.{name}.attended"])
        assert_close(maps.cosine[:, caption, :queries], tensors[f"out.{name}.fragment_sim"])


def check_gradients(model, loss, tensors, assert_close):
    model.zero_grad()
    loss.backward()
    names = [name for name in tensors if name.startswith("grad.")]
    assert names
    keys = official_keys(model.config)
    for name in names:
        gradient = model.get_parameter(keys[name.removeprefix("grad.")]).grad
        assert_close(gradient, tensors[name], "float32 gradient")


def check_option_grid(case, assert_close):
    check_model(case, assert_close)
    tensors, config = case.tensors, case.content["config"]
    names = [name for name in tensors if name.startswith("out.grid.")]
    assert names
    batch = official_batch(tensors)
    for name in names:
        direction, first_norm, aggregation = name.removeprefix("out.grid.").split(".")
        options = {
            "cross_attn": direction,
            "raw_feature_norm": first_norm,
            "agg_func": aggregation,
        }
        model = official_model(config | options, tensors)
        for train in (True, False):
            with torch.set_grad_enabled(train):
                visual, text = model.encode_visual(batch.visual), model.encode_text(batch.text)
                assert_close(model.score(visual, text), tensors[name])


def check_caption_encoding(case, assert_close):
    content = case.content
    words = [treebank_words(line.lower()) for line in content["vocabulary_source"]]
    flat = [word for line in words for word in line]
    assert {word: flat.count(word) for word in flat} == content["token_counts"]
    built = Vocabulary.build(words, min_count=4, specials=SCAN_SPECIALS, unknown="<unk>")
    ids = content["word2idx"]
    assert set(built.words) == set(ids)
    assert built.words[:4] == tuple(sorted(ids, key=ids.get))[:4]
    vocabulary = Vocabulary(tuple(sorted(ids, key=ids.get)), "<unk>")
    for line, tokens, expected in zip(
        content["captions"], content["tokens"], content["ids"], strict=True
    ):
        assert treebank_words(line.strip().lower()) == tokens
        assert caption_ids(line, vocabulary) == expected


def official_model(config, tensors):
    """The model of a golden file, with its parameters."""
    assert config.get("num_layers", 1) == 1
    model = SCAN(
        SCANConfig(
            vocabulary=config["vocab_size"],
            feature_size=config["img_dim"],
            word_size=config["word_dim"],
            embed_size=config["embed_size"],
            direction=config["cross_attn"],
            aggregation=AGGREGATION[config["agg_func"]],
            first_norm=config["raw_feature_norm"],
            scale=config["lambda_softmax"],
            lambda_lse=config["lambda_lse"],
            normalise_image=not config["no_imgnorm"],
            normalise_text=not config["no_txtnorm"],
            weight_norm=config["precomp_enc_type"] == "weight_norm",
            bidirectional=config["bi_gru"],
            margin=config["margin"],
        )
    )
    names = {name: f"param.{official}" for official, name in official_keys(model.config).items()}
    assert set(names.values()) == {name for name in tensors if name.startswith("param.")}
    model.load_state_dict({name: tensors[official] for name, official in names.items()})
    return model


def official_batch(tensors):
    """Captions and images of a golden file; caption i belongs to image i."""
    lengths = tensors["in.cap_lens"].tolist()
    captions = [row[:n].tolist() for row, n in zip(tensors["in.captions"], lengths, strict=True)]
    images = tensors["in.images"]
    box = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(images.size(1), 4)
    size = torch.tensor([[640.0, 480.0]])
    return MatchBatch.collate(
        [word_graph(ids) for ids in captions],
        [RegionGraph(x=x, box=box, size=size) for x in images],
        owner=list(range(len(captions))),
        text_ids=[f"caption {n}" for n in range(len(captions))],
        visual_ids=[f"image {n}" for n in range(len(images))],
    )


def encoded(nodes, mask=None):
    """Items as they come from an encoder."""
    mask = torch.ones(nodes.shape[:2], dtype=torch.bool) if mask is None else mask
    return Encoded(nodes=nodes * mask.unsqueeze(-1), mask=mask)


FAMILIES = {
    ("scan", "model"): check_model,
    ("scan", "option_grid"): check_option_grid,
    ("scan", "weight_norm_encoder"): check_model,
    ("scan", "caption_encoding"): check_caption_encoding,
}
