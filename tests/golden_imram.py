"""IMRAM against golden vectors."""

from __future__ import annotations

import dataclasses

import torch

from graphmatch.models.imram import IMRAM, IMRAMConfig, official_keys
from graphmatch.nn.hinge_loss import hinge_loss
from tests.golden_scan import official_batch


def check_model(case, assert_close):
    tensors, config = case.tensors, official_config(case.content["config"])
    model = official_model(config, tensors)
    batch = official_batch(tensors)
    visual, text = model.encode_visual(batch.visual), model.encode_text(batch.text)
    scores = model.score(visual, text)
    longest = text.nodes.size(1)
    outputs = {
        "img_emb": visual.nodes,
        "img_fc": visual.pooled,
        "cap_emb": torch.nn.functional.pad(
            text.nodes, (0, 0, 0, tensors["out.cap_emb"].size(1) - longest)
        ),
        "cap_ht": text.pooled,
        "scores": scores,
        "loss_max_violation": model.loss(scores, batch.owner),
        "loss_sum": hinge_loss(scores, batch.owner, margin=config.margin, negatives="all"),
    }
    for name, output in outputs.items():
        expected = tensors[f"out.{name}"]
        assert_close(output.to(expected.dtype), expected)
    check_steps(model, visual, text, tensors, assert_close)
    check_fewer_steps(model, visual, text, tensors, assert_close)
    check_gradients(model, outputs["loss_max_violation"], tensors, assert_close)


def check_steps(model, visual, text, tensors, assert_close):
    maps = model.align(visual, text)
    checked = set()
    for direction, steps in (("t2i", maps.text), ("i2t", maps.image)):
        for number, step in enumerate(steps, 1):
            name = f"out.{direction}.step{number}.scores"
            assert_close(step.scores.double(), tensors[name])
            checked.add(name)
            for caption, words in enumerate(text.counts.tolist()):
                prefix = f"out.{direction}.cap{caption}.step{number}"
                if f"{prefix}.query" not in tensors:
                    continue
                contexts, queries = (None, words) if direction == "t2i" else (words, None)
                memory = step.memory[:, caption, :queries]
                attended = step.attended[:, caption, :queries]
                attention = step.attention[:, caption, :contexts, :queries]
                expected = (model.config.scale * tensors[f"{prefix}.z_norm"]).softmax(dim=1)
                assert_close(memory, tensors[f"{prefix}.query"])
                assert_close(attended, tensors[f"{prefix}.attended"])
                assert_close(attention, expected)
                checked |= {f"{prefix}.{name}" for name in ("query", "attended", "z_norm")}
    assert checked == {name for name in tensors if ".step" in name}


def check_fewer_steps(model, visual, text, tensors, assert_close):
    """The fast head with k steps gives the sum of the first k official matrices."""
    expected = torch.zeros_like(tensors["out.scores"])
    for steps in range(1, model.config.steps + 1):
        expected = expected + sum(
            tensors[name] for name in tensors if name.endswith(f".step{steps}.scores")
        )
        shorter = IMRAM(dataclasses.replace(model.config, steps=steps))
        shorter.load_state_dict(model.state_dict())
        for gradients in (True, False):
            with torch.set_grad_enabled(gradients):
                assert_close(shorter.score(visual, text).double(), expected)


def check_gradients(model, loss, tensors, assert_close):
    model.zero_grad()
    loss.backward()
    names = [name for name in tensors if name.startswith("grad.")]
    assert names
    keys = official_keys(model.config)
    for name in names:
        gradient = model.get_parameter(keys[name.removeprefix("grad.")]).grad
        assert_close(gradient, tensors[name], "float32 gradient")
    if model.config.steps == 1:  # nothing reads the memory
        for block in (model.text_memory, model.image_memory):
            assert all(parameter.grad is None for parameter in block.parameters())


def official_config(config):
    """Our configuration of a golden file."""
    assert config.get("num_layers", 1) == 1
    return IMRAMConfig(
        vocabulary=config["vocab_size"],
        feature_size=config["img_dim"],
        word_size=config["word_dim"],
        embed_size=config["embed_size"],
        mode=config["model_mode"].removesuffix("_IMRAM"),
        steps=config["iteration_step"],
        normalise_memory=not config["no_IMRAM_norm"],
        scale=config["lambda_softmax"],
        first_norm=config["raw_feature_norm"],
        weight_norm=config["precomp_enc_type"] == "weight_norm",
        bidirectional=config["bi_gru"],
        margin=config["margin"],
    )


def official_model(config, tensors):
    """The model of a golden file, with its parameters."""
    model = IMRAM(config)
    names = {name: f"param.{official}" for official, name in official_keys(config).items()}
    assert set(names.values()) == {name for name in tensors if name.startswith("param.")}
    model.load_state_dict({name: tensors[official] for name, official in names.items()})
    return model


FAMILIES = {("imram", "model"): check_model}
