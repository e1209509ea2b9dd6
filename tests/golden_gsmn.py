"""GSMN against golden vectors."""

from __future__ import annotations

import torch

from graphmatch.graphs.batch import MatchBatch
from graphmatch.graphs.region import RegionGraph
from graphmatch.graphs.words import word_graph
from graphmatch.models.gsmn import GSMN, GSMNConfig, official_keys
from graphmatch.nn.hinge_loss import hinge_loss
from graphmatch.nn.polar_kernel import gaussian_weights
from graphmatch.nn.textual_edges import sparse_edge_weight, word_similarity
from graphmatch.regions.polar import pairwise_polar


def check_model(case, assert_close):
    tensors = case.tensors
    model = official_model(case.content["config"], tensors)
    batch = official_batch(tensors, case.content["dependencies"])
    visual, text = model.encode_visual(batch.visual), model.encode_text(batch.text)
    maps, scores = model.align(visual, text), model.score(visual, text)
    outputs = {
        "img_emb": visual.nodes,
        "cap_emb": text.nodes,
        "pseudo_coord": pairwise_polar(visual.extra["box"]),
        "gaussian_weights": model.visual.kernels(pairwise_polar(visual.extra["box"])),
        "scores": scores,
        "scores_i2t": maps.visual,
        "scores_t2i": maps.textual,
        "loss_max_violation": model.loss(scores, batch.owner),
        "loss_sum": hinge_loss(scores, batch.owner, margin=model.config.margin, negatives="all"),
    }
    for number in range(len(text)):
        outputs |= caption_outputs(model, maps, text, number)
    expected = {n.removeprefix("out."): v for n, v in tensors.items() if n.startswith("out.")}
    assert expected.keys() <= outputs.keys()
    for name, value in expected.items():
        assert_close(outputs[name], value)
    with torch.no_grad():  # the same head, in place
        assert_close(model.score(visual, text), tensors["out.scores"])
    check_official_kernels(model, visual, assert_close)
    check_gradients(model, outputs["loss_max_violation"], tensors, assert_close)


def caption_outputs(model, maps, text, number):
    n = int(text.counts[number])
    similarity = word_similarity(text.nodes[number, :n], model.config.scale)
    outputs = {
        "att_t2i": maps.word_attention[:, number, :n],
        "att_i2t": maps.region_attention[:, number, :, :n],
        "x_textual": maps.word_x[:, number, :n],
        "x_visual": maps.region_x[:, number],
        "hidden_textual": maps.word_hidden[:, number, :n],
        "hidden_visual": maps.region_hidden[:, number],
        "score_t2i": maps.textual[:, number],
        "score_i2t": maps.visual[:, number],
        "word_sim": similarity.unsqueeze(0),
        "edge_weight_textual": similarity,
    }
    if model.config.graph == "sparse":
        matrix = text.extra["adjacency"][number, :n, :n]
        outputs["adjacency"] = matrix
        outputs["edge_weight_textual"] = sparse_edge_weight(similarity, matrix)
    return {f"cap{number}.{name}": output for name, output in outputs.items()}


def check_official_kernels(model, visual, assert_close):
    polar = pairwise_polar(visual.extra["box"])
    weight = gaussian_weights(
        polar, **dict(model.visual.kernels.named_parameters()), form="official"
    )
    assert_close(model.visual.kernels(polar), weight)


def check_gradients(model, loss, tensors, assert_close):
    model.zero_grad()
    loss.backward()
    names = [name for name in tensors if name.startswith("grad.")]
    assert names
    keys = official_keys(model.config)
    for name in names:
        parameter = model.get_parameter(keys[name.removeprefix("grad.")])
        gradient = parameter.grad if parameter.requires_grad else torch.zeros_like(parameter)
        assert_close(gradient, tensors[name], "float32 gradient")


def official_model(config, tensors):
    """The model of a golden file, with its parameters."""
    assert config["feat_dim"] == config["num_block"]
    assert config["out_dim"] == config["num_layers"] == 1
    model = GSMN(
        GSMNConfig(
            vocabulary=config["vocab_size"],
            feature_size=config["img_dim"],
            word_size=config["word_dim"],
            embed_size=config["embed_size"],
            graph="sparse" if config["is_sparse"] else "dense",
            propagation="paper" if config["propagating"] else "official",
            scale=config["lambda_softmax"],
            blocks=config["num_block"],
            hidden=config["hid_dim"],
            kernels=config["n_kernels"],
            weight_norm="param.img_enc.fc.weight_g" in tensors,
            bidirectional=config["bi_gru"],
            margin=config["margin"],
        )
    )
    names = {name: f"param.{official}" for official, name in official_keys(model.config).items()}
    assert set(names.values()) == {name for name in tensors if name.startswith("param.")}
    model.load_state_dict({name: tensors[official] for name, official in names.items()})
    return model


def official_batch(tensors, dependencies):
    """Captions and images of a golden file; caption i belongs to image i."""
    size = torch.tensor([[640.0, 480.0]])
    captions = [
        caption_graph(row[:n].tolist(), pairs)
        for row, n, pairs in zip(
            tensors["in.captions"], tensors["in.cap_lens"].tolist(), dependencies, strict=True
        )
    ]
    return MatchBatch.collate(
        captions,
        [
            RegionGraph(x=x, box=box, size=size)
            for x, box in zip(tensors["in.images"], tensors["in.boxes"], strict=True)
        ],
        owner=list(range(len(captions))),
        text_ids=[f"caption {n}" for n in range(len(captions))],
        visual_ids=[f"image {n}" for n in range(len(tensors["in.images"]))],
    )


def caption_graph(ids, pairs):
    """A caption from official pairs: the first is dropped, and those past the last row."""
    graph = word_graph(ids)
    edges = [pair for pair in pairs[1:] if max(pair) < len(ids)]
    graph.edge_index = torch.tensor(edges, dtype=torch.int64).view(-1, 2).T
    graph.relation = torch.zeros(len(edges), dtype=torch.int64)
    return graph


FAMILIES = {("gsmn", "model"): check_model}
