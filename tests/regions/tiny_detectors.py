"""Tiny detectors of transformers with random weights, saved as `save_pretrained` writes them."""

from __future__ import annotations

import torch
import transformers
from transformers import logging as transformers_logging

LABELS = {0: "cat", 1: "dog", 2: "tree"}
PHRASES = ("a cat", "two dogs", "tree")
KINDS = ("rt_detr_v2", "d_fine", "yolos", "owlv2", "owlvit")


def randomise(model):
    """Heads start at zero, so that all boxes would be alike."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if any(part in name for part in ("bbox", "box_head", "class_", "detection_tokens")):
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.3)
    return model.eval()


def labelled(**config):
    return {**config, "id2label": LABELS, "label2id": {v: k for k, v in LABELS.items()}}


DETR = {
    "encoder_hidden_dim": 32, "d_model": 32, "encoder_ffn_dim": 32, "encoder_attention_heads": 2,
    "decoder_in_channels": [32, 32, 32], "decoder_ffn_dim": 32, "decoder_layers": 2,
    "decoder_attention_heads": 2, "num_queries": 12, "num_denoising": 0,
}  # fmt: skip
STAGES = {"out_features": ["stage2", "stage3", "stage4"], "embedding_size": 8}


def rt_detr_v2():
    backbone = transformers.RTDetrResNetConfig(
        hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type="basic", **STAGES
    )
    config = labelled(backbone_config=backbone, encoder_in_channels=[8, 16, 16], **DETR)
    return transformers.RTDetrV2ForObjectDetection(transformers.RTDetrV2Config(**config))


def d_fine():
    backbone = transformers.HGNetV2Config(
        stem_channels=[3, 8, 8], stage_in_channels=[8, 8, 16, 16],
        stage_mid_channels=[8, 8, 8, 8], stage_out_channels=[8, 16, 16, 16],
        stage_num_blocks=[1] * 4, stage_numb_of_layers=[1] * 4,
        hidden_sizes=[8, 16, 16, 16], depths=[1] * 4, **STAGES,
    )  # fmt: skip
    config = labelled(backbone_config=backbone, encoder_in_channels=[16] * 3, **DETR)
    return transformers.DFineForObjectDetection(transformers.DFineConfig(**config))


def yolos():
    config = labelled(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        image_size=[32, 48], num_detection_tokens=9,
    )  # fmt: skip
    return transformers.YolosForObjectDetection(transformers.YolosConfig(**config))


def owl(prefix):
    tower = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2}
    text = {"vocab_size": 99, "max_position_embeddings": 8, "num_attention_heads": 2,
            "bos_token_id": 1, "eos_token_id": 2}  # fmt: skip
    vision = {"image_size": 64, "patch_size": 16, "num_attention_heads": 2}
    config = getattr(transformers, f"{prefix}Config")(
        text_config=tower | text, vision_config=tower | vision, projection_dim=32
    )
    return getattr(transformers, f"{prefix}ForObjectDetection")(config)


def tokenizer():
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = ["<pad>", "<|startoftext|>", "<|endoftext|>", *letters, *(f"{c}</w>" for c in letters)]
    merges = [("c", "a"), ("ca", "t</w>"), ("d", "o"), ("do", "g")]
    pieces += [a + b for a, b in merges]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=merges, pad_token="<pad>")


def save_tiny_detectors(root, kinds=KINDS):
    """A folder of each kind below a folder."""
    torch.manual_seed(0)
    transformers_logging.disable_progress_bar()
    fixed = transformers.RTDetrImageProcessorPil(size={"height": 64, "width": 96})
    edges = transformers.YolosImageProcessorPil(size={"shortest_edge": 32, "longest_edge": 64})
    side = {"height": 64, "width": 64}
    parts = {
        "rt_detr_v2": (rt_detr_v2(), fixed), "d_fine": (d_fine(), fixed), "yolos": (yolos(), edges),
        "owlv2": (owl("Owlv2"), transformers.Owlv2ImageProcessorPil(size=side), tokenizer()),
        "owlvit": (owl("OwlViT"), transformers.OwlViTImageProcessorPil(size=side), tokenizer()),
    }  # fmt: skip
    for kind in kinds:
        model, *others = parts[kind]
        randomise(model)
        for part in (model, *others):
            part.save_pretrained(root / kind)
