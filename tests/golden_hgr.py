"""HGR and its global baseline against golden vectors."""

from __future__ import annotations

import torch

from graphmatch.columns import GraphColumns
from graphmatch.datasets.role_graph_file import role_graph_from_json
from graphmatch.datasets.role_limits import limit_roles
from graphmatch.datasets.role_slots import role_slots
from graphmatch.graphs.batch import MatchBatch, batch_graphs
from graphmatch.graphs.clip import ClipGraph
from graphmatch.graphs.text import TextGraph
from graphmatch.graphs.words import word_graph
from graphmatch.models import global_match, hgr
from graphmatch.models.global_match import GlobalMatch, GlobalMatchConfig
from graphmatch.models.hgr import HGR, HGRConfig
from graphmatch.nn.role_attention import message_edges
from graphmatch.parse import ROLES

DIRECTION = {"bi": "both", "i2t": "i2t", "t2i": "t2i"}
LEVELS = ("sent", "verb", "noun")
UNTRAINED = ("ft_attn.bias", "edge_attn_key.bias")  # their gradient is 0 but for rounding


def check_model(case, assert_close):
    tensors, config = case.tensors, case.content["config"]
    model = official_model(config, tensors)
    graphs = slot_graphs(tensors)
    texts = batch_graphs(graphs, follow=("word",))
    texts.validate()
    videos = clip_graphs(tensors["in.attn_fts"], tensors["in.attn_lens"])
    check_captions(case, graphs)
    check_text(model, texts, tensors, assert_close)
    visual, text = model.encode_visual(videos), model.encode_text(texts)
    check_video(model, videos, visual, tensors, assert_close)
    check_alignment(model, visual, text, tensors, assert_close)
    levels = model.levels(visual, text)
    for name, scores in zip(LEVELS, levels, strict=True):
        assert_close(scores, tensors[f"out.{name}_scores"])
    assert_close(model.score(visual, text), tensors["out.fused_scores"])
    if "out.loss" in tensors and tensors["out.loss"].isnan():  # a mean over no wrong pair
        assert len(graphs) == 1
        assert model.config.negatives == "all"
        assert model(match(graphs, videos)) == 0
    elif "out.loss" in tensors:
        check_loss(model, levels, tensors, assert_close)
        loss = model(match(graphs, videos))
        assert_close(loss, tensors["out.loss"])
        check_gradients(model, hgr.official_keys(model.config), loss, tensors, assert_close)


def check_text(model, texts, tensors, assert_close):
    words, mask, _ = model.text.words(texts.word, texts.word_ptr)
    width = mask.size(1)
    assert_close(words, tensors["out.word_hiddens"][:, :width])
    assert not tensors["out.word_attn"][:, width:].any()
    assert_close(model.text.event.weights(words, mask), tensors["out.word_attn"][:, :width])
    valid = tensors["out.node_valid"]
    x = model.text.initial_nodes(texts)
    assert_close(x, tensors["out.node_embeds"][valid])
    edges = message_edges(texts.edge_index, texts.kind)
    for number, layer in enumerate(model.text.graph):
        if f"out.gcn_attn{number}" in tensors:
            dense = dense_edges(layer.weights(x, edges), edges, valid)
            assert_close(dense, tensors[f"out.gcn_attn{number}"])
        x = layer(x, edges)
        assert_close(x, tensors[f"out.gcn_layer{number}"][valid])
    slots = torch.cat([tensors[f"out.{name}_embeds"].view(len(valid), -1, x.size(1))
                       for name in LEVELS], dim=1)  # fmt: skip
    assert_close(model.text(texts), slots[valid])


def dense_edges(weights, edges, valid):
    """[C, slots, slots] values of edges between nodes, which are slots that are `valid`."""
    caption, slot = valid.nonzero(as_tuple=True)
    dense = weights.new_zeros(*valid.shape, valid.size(1))
    source, target = edges
    assert torch.equal(caption[source], caption[target])
    dense[caption[target], slot[target], slot[source]] = weights
    return dense


def check_video(model, videos, visual, tensors, assert_close):
    mask = visual.mask
    outputs = {"verb": visual.nodes, "noun": visual.extra["entity"]}
    for name, output in outputs.items():
        expected = tensors[f"out.vid_{name}_embeds"][:, : mask.size(1)]
        assert_close(output[mask], expected[mask])
        assert not output[~mask].any()
    assert_close(visual.pooled, tensors["out.vid_sent_embeds"])
    frames = torch.zeros(*mask.shape, visual.nodes.size(-1))
    frames[mask] = model.frames[0](videos.x)
    expected = tensors["out.vid_frame_attn"][:, : mask.size(1)]
    assert_close(model.event.weights(frames, mask), expected)


def check_alignment(model, visual, text, tensors, assert_close):
    maps = model.align(visual, text)
    for name, scores in zip(LEVELS, maps.levels, strict=True):
        assert_close(scores, tensors[f"out.{name}_scores"])
    for kind, name in ((1, "verb"), (2, "noun")):
        here = (text.extra["kind"] == kind) & text.mask  # [C, M]
        phi = tensors[f"out.{name}_frame_attn"][:, :, : visual.mask.size(1)]  # [V, C, F, slots]
        used = torch.arange(phi.size(-1)) < here.sum(dim=1, keepdim=True)  # [C, slots]
        actual = maps.attention.transpose(2, 3)[:, here]  # [V, N, F]
        assert_close(actual, phi.transpose(2, 3)[:, used])


def check_loss(model, levels, tensors, assert_close):
    owner = torch.arange(levels.size(-1))
    for name, scores in zip(("fusion", *LEVELS), (levels.mean(0), *levels), strict=True):
        if f"out.{name}_loss" in tensors:
            assert_close(model.loss(scores, owner), tensors[f"out.{name}_loss"])


def check_gradients(model, keys, loss, tensors, assert_close):
    model.zero_grad()
    loss.backward()
    names = [name for name in tensors if name.startswith("grad.")]
    assert names
    for name in names:
        gradient = model.get_parameter(keys[name.removeprefix("grad.")]).grad
        assert_close(gradient, tensors[name], "float32 gradient")


def check_captions(case, graphs):
    """The captions' own graphs, through the reader of files, are those of the tensors."""
    config, tensors = case.content["config"], case.tensors
    limits = {"actions": config["num_verbs"], "entities": config["num_nouns"]}
    limits["max_words"] = config["max_words_in_sent"]
    width = tensors["in.sent_ids"].size(1)
    for number, caption in enumerate(case.content.get("captions", [])):
        words, columns = role_graph_from_json(caption["graph"])
        assert list(words) == caption["sentence"].split()
        count = int(tensors["in.sent_lens"][number])
        ids = tensors["in.sent_ids"][number, :count].tolist()
        slots = role_slots(columns, ids + [0] * (len(words) - count), **limits)
        assert slots.length == count
        assert slots.word[:width].tolist() == tensors["in.sent_ids"][number].tolist()
        for mask, name in ((slots.action_words, "verb"), (slots.entity_words, "noun")):
            expected = tensors[f"in.{name}_masks"][number]
            assert torch.equal(torch.from_numpy(mask)[:, :width], expected)
        assert slots.role.tolist() == tensors["in.node_roles"][number].tolist()
        assert torch.equal(torch.from_numpy(slots.relation), tensors["in.rel_edges"][number])
        graph = TextGraph.from_columns(limit_roles(columns, **limits), ids)
        check_same_graph(graph, graphs[number])


def check_same_graph(graph, other):
    """Equal but for the order of nodes, where the file may mix actions and entities."""
    order = graph.kind.argsort(stable=True)
    place = order.argsort()
    assert torch.equal(graph.word, other.word)
    assert torch.equal(graph.kind[order], other.kind)
    assert torch.equal(graph.role[order], other.role)
    span = torch.stack([place[graph.span[0]], graph.span[1]])
    edges = message_edges(place[graph.edge_index], graph.kind[order])
    assert torch.equal(span[:, (span[0] * 1000 + span[1]).argsort()], other.span)
    assert torch.equal(edges, message_edges(other.edge_index, other.kind))


def slot_graphs(tensors):
    """`TextGraph` of each caption from the official arrays: event, used verb and noun slots."""
    return [
        slot_graph(*arrays)
        for arrays in zip(
            *(tensors[f"in.{name}"] for name in
              ("sent_ids", "sent_lens", "verb_masks", "noun_masks", "node_roles", "rel_edges")),
            strict=True,
        )
    ]  # fmt: skip


def slot_graph(ids, count, verbs, nouns, roles, relation):
    masks = torch.cat([torch.arange(len(ids))[None] < count, verbs, nouns])  # [slots, L]
    slots = masks.any(dim=1).nonzero().flatten()
    kinds = ["event"] + ["action"] * len(verbs) + ["entity"] * len(nouns)
    role = ["", *(ROLES[role] for role in roles)]
    span = masks[slots].nonzero().T
    # [source, target] of edges down the graph: from the event to verbs to nouns
    level = torch.tensor([["event", "action", "entity"].index(kind) for kind in kinds])
    down = (relation.T != 0) & (level[:, None] < level)
    edges = down[slots][:, slots].nonzero().T
    columns = GraphColumns(
        kind=tuple(kinds[slot] for slot in slots),
        role=tuple(role[slot] for slot in slots),
        span_node=tuple(span[0].tolist()),
        span_word=tuple(span[1].tolist()),
        source=tuple(edges[0].tolist()),
        target=tuple(edges[1].tolist()),
        relation=tuple(role[slots[target]] for target in edges[1]),
    )
    return TextGraph.from_columns(columns, ids[:count].tolist())


def clip_graphs(features, lengths):
    graphs = []
    for x, length in zip(features, lengths.tolist(), strict=True):
        assert not x[length:].any()
        time = torch.arange(length + 1.0).unfold(0, 2, 1)
        graphs.append(ClipGraph(x=x[:length], time=time, duration=torch.tensor([float(length)])))
    return batch_graphs(graphs)


def match(graphs, videos):
    names = tuple(map(str, range(len(graphs))))
    return MatchBatch(
        text=batch_graphs(graphs, follow=("word",)),
        visual=videos,
        owner=torch.arange(len(graphs)),
        text_ids=names,
        visual_ids=names,
    )


def official_model(config, tensors):
    text, video = config["text_encoder"], config["video_encoder"]
    assert video["num_levels"] == 3
    options = HGRConfig(
        roles=text["num_roles"],
        layers=text["gcn_num_layers"],
        attention=video["dim_embed"] // 2 if text["gcn_attention"] else 0,
        share_levels=video["share_enc"],
        fusion=config["attn_fusion"],
        scale=config["simattn_sigma"],
        dropout=(text["dropout"], video["dropout"], text["gcn_dropout"]),
        level_weights=config["loss_weights"] and tuple(config["loss_weights"]),
        **common_options(config),
    )
    return load(HGR(options), hgr.official_keys(options), tensors).eval()


def common_options(config):
    text, video = config["text_encoder"], config["video_encoder"]
    assert text["rnn_hidden_size"] == video["dim_embed"]
    return {
        "vocabulary": text["num_words"],
        "feature_size": sum(video["dim_fts"]),
        "word_size": text["dim_word"],
        "embed_size": video["dim_embed"],
        "cell": text["rnn_type"],
        "bidirectional": text["bidirectional"],
        "word_layers": text["num_layers"],
        "margin": config["margin"],
        "negatives": "hardest" if config["max_violation"] else "all",
        "top_k": config["hard_topk"],
        "direction": DIRECTION[config["loss_direction"]],
    }


def load(model, keys, tensors):
    found = {name.removeprefix("param."): value for name, value in tensors.items()
             if name.startswith("param.")}  # fmt: skip
    assert found.keys() == keys.keys()
    model.load_state_dict({keys[name]: value for name, value in found.items()})
    return model


def check_global_match(case, assert_close):
    tensors, config = case.tensors, case.content["config"]
    text, video = config["text_encoder"], config["video_encoder"]
    options = GlobalMatchConfig(
        dropout=(text["dropout"], video["dropout"]), **common_options(config)
    )
    keys = global_match.official_keys(options)
    model = load(GlobalMatch(options), keys, tensors).eval()
    lengths = tensors["in.caption_lens"]
    captions = zip(tensors["in.caption_ids"].tolist(), lengths.tolist(), strict=True)
    graphs = [word_graph(ids[:count]) for ids, count in captions]
    pooled = tensors["in.mp_fts"]
    videos = clip_graphs(pooled.unsqueeze(1), torch.ones(len(pooled), dtype=torch.int64))
    visual = model.encode_visual(videos)
    encoded = model.encode_text(batch_graphs(graphs, follow=("word",)))
    assert_close(visual.pooled, tensors["out.vid_embeds"])
    assert_close(encoded.pooled, tensors["out.cap_embeds"])
    assert_close(model.score(visual, encoded), tensors["out.scores"])
    if "out.loss" in tensors:
        loss = model(match(graphs, videos))
        assert_close(loss, tensors["out.loss"])
        check_gradients(model, keys, loss, tensors, assert_close)


def check_train_steps(case, assert_close):
    tensors, config = case.tensors, case.content["config"]
    config = {**config["top"], **config, "dropout": 0}
    model = official_model(config, tensors).train()
    keys = hgr.official_keys(model.config)
    graphs = slot_graphs(tensors)
    batch = match(graphs, clip_graphs(tensors["in.attn_fts"], tensors["in.attn_lens"]))
    groups = []
    for part in ("text_encoder", "video_encoder"):
        options = config[part]
        assert not options["freeze"]
        groups.append({
            "params": [model.get_parameter(ours) for name, ours in keys.items()
                       if name.startswith(part)],
            "lr": config["base_lr"] * options["lr_mult"],
            "weight_decay": options["weight_decay"],
        })  # fmt: skip
    optimiser = torch.optim.Adam(groups)
    losses = []
    for _ in range(config["steps"]):
        optimiser.zero_grad()
        loss = model(batch)
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    assert_close(torch.stack(losses).double(), tensors["out.losses"].double())
    names = [name.removeprefix("out.after.") for name in tensors if name.startswith("out.after.")]
    assert names
    for name in names:
        if not name.endswith(UNTRAINED):
            value = model.get_parameter(keys[name]).detach()
            assert_close(value, tensors[f"out.after.{name}"])


FAMILIES = {
    ("hgr", "model"): check_model,
    ("hgr", "globalmatch"): check_global_match,
    ("hgr", "train_steps"): check_train_steps,
}
