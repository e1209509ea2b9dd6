"""Vision models of `transformers` as backbones: tiny random models, saved and loaded."""

from __future__ import annotations

import json
import logging

import pytest
import torch
import transformers

from graphmatch.errors import CheckpointError, ConfigError, FormatError
from graphmatch.regions.backbone import Backbone
from graphmatch.regions.base import Photo, Regions
from graphmatch.regions.describe import RegionDescriber
from graphmatch.regions.transformers_backbone import load_transformers_backbone

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
STAGES = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
VIT = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 64,
    "patch_size": 16,
}


def make(name):
    """A tiny random model."""
    torch.manual_seed(0)
    match name:
        case "resnet":
            config = transformers.ResNetConfig(embedding_size=8, layer_type="basic", **STAGES)
            return transformers.ResNetForImageClassification(config)
        case "convnext":
            return transformers.ConvNextModel(transformers.ConvNextConfig(**STAGES))
        case "swin":
            config = transformers.SwinConfig(
                embed_dim=8, depths=[1, 1], num_heads=[1, 2], image_size=64, window_size=4
            )
            return transformers.SwinModel(config)
        case "vit":
            return transformers.ViTForImageClassification(transformers.ViTConfig(**VIT))
        case "deit":
            return transformers.DeiTModel(transformers.DeiTConfig(**VIT))
        case "dinov2":
            config = transformers.Dinov2WithRegistersConfig(**VIT, num_register_tokens=4)
            return transformers.Dinov2WithRegistersModel(config)
        case "yolos":
            config = transformers.YolosConfig(**VIT | {"image_size": [64, 64]})
            return transformers.YolosModel(config)
        case "mae":
            return transformers.ViTMAEModel(transformers.ViTMAEConfig(**VIT))
    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text |= {"intermediate_size": 16, "vocab_size": 50, "bos_token_id": 0, "eos_token_id": 1}
    return transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=VIT))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = {}

    def save(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            make(name).save_pretrained(made[name])
        return made[name]

    return save


@pytest.fixture(autouse=True)
def quiet():
    """The loader's notes on weights that no map needs are no errors."""
    logging.getLogger("transformers").setLevel(logging.ERROR)


def images(side, count=2):
    generator = torch.Generator().manual_seed(1)
    shape = (count, 3, side, side)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def normalised(pixels):
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (MEAN, STD))
    return (pixels.float() - mean) / std


@pytest.mark.parametrize(
    ("name", "side", "shape"),
    [
        ("resnet", 64, [32, 2, 2]),
        ("convnext", 64, [32, 2, 2]),
        ("swin", 64, [16, 8, 8]),
        ("vit", 64, [16, 4, 4]),
        ("vit", 96, [16, 6, 6]),
        ("dinov2", 64, [16, 4, 4]),
        ("deit", 64, [16, 4, 4]),
        ("clip", 64, [16, 4, 4]),
        ("clip", 80, [16, 5, 5]),
    ],
)
def test_maps_are_the_last_hidden_state(folder, name, side, shape):
    backbone = load_transformers_backbone(folder(name), side=side, mean=MEAN, std=STD)
    assert isinstance(backbone, Backbone)
    pixels = images(side)
    (actual,) = backbone.maps(pixels)
    assert list(actual.shape) == [2, *shape]
    assert backbone.channels == (shape[0],)
    model = make(name).eval()
    model = getattr(model, "base_model", model)
    model = getattr(model, "vision_model", model)
    options = {"interpolate_pos_encoding": True} if side in (80, 96) else {}
    expected = model(normalised(pixels), **options).last_hidden_state
    if expected.dim() == 3:
        tokens = expected[:, -shape[1] * shape[2] :]
        expected = torch.stack(list(tokens.split(shape[2], dim=1)), dim=1).permute(0, 3, 1, 2)
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["vit", "dinov2", "swin"])
def test_a_patch_changes_its_own_cell(folder, name):
    backbone = load_transformers_backbone(folder(name), side=64, mean=MEAN, std=STD, layers=(0,))
    pixels = images(64, count=1)
    changed = pixels.clone()
    changed[:, :, 16:20, 48:52] = 255 - changed[:, :, 16:20, 48:52]
    (before,), (after,) = backbone.maps(pixels), backbone.maps(changed)
    cell = 64 // before.size(2)
    differs = (before != after).any(dim=1)[0].nonzero()
    assert differs.tolist() == [[16 // cell, 48 // cell]]


def test_several_layers(folder):
    backbone = load_transformers_backbone(
        folder("resnet"), side=64, mean=MEAN, std=STD, layers=(2, 3, -1)
    )
    maps = backbone.maps(images(64))
    assert [list(a_map.shape[1:]) for a_map in maps] == [[16, 8, 8], [24, 4, 4], [32, 2, 2]]
    assert backbone.channels == (16, 24, 32)


def test_describes_regions_one_by_one_as_in_a_batch(folder):
    backbone = load_transformers_backbone(folder("vit"), mean=MEAN, std=STD)
    photos = [
        Photo(id=str(number), pixels=one.permute(1, 2, 0).numpy(), size=(50, 50))
        for number, one in enumerate(images(50))
    ]
    box = torch.tensor([[0.0, 0.0, 50.0, 50.0], [10.0, 10.0, 20.0, 40.0]])
    regions = Regions(
        size=(50, 50), box=box, label=torch.tensor([0, 0]), score=torch.tensor([1.0, 1.0])
    )
    together = RegionDescriber(backbone, batch_size=2).describe(photos, [regions] * 2)
    for photo, feature in zip(photos, together, strict=True):
        alone = RegionDescriber(backbone).describe([photo], [regions])[0]
        assert feature.shape == (2, 16)
        torch.testing.assert_close(alone, feature, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "nested"), [("preprocessor_config.json", False), ("processor_config.json", True)]
)
def test_options_of_the_preprocessor(folder, tmp_path, name, nested):
    options = {
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
        "size": {"shortest_edge": 80},
        "crop_size": {"height": 64, "width": 64},
    }
    copy(folder("vit"), tmp_path)
    (tmp_path / name).write_text(json.dumps({"image_processor": options} if nested else options))
    read = load_transformers_backbone(tmp_path)
    assert read.side == 64
    given = load_transformers_backbone(folder("vit"), side=64, mean=MEAN, std=STD)
    for one, two in zip(read.maps(images(64)), given.maps(images(64)), strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)
    assert load_transformers_backbone(tmp_path, side=96).side == 96


def test_options_without_normalisation(folder, tmp_path):
    copy(folder("vit"), tmp_path)
    (tmp_path / "preprocessor_config.json").write_text('{"do_normalize": false, "size": 64}')
    read = load_transformers_backbone(tmp_path)
    given = load_transformers_backbone(folder("vit"), mean=(0, 0, 0), std=(255, 255, 255))
    for one, two in zip(read.maps(images(64)), given.maps(images(64)), strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)


def copy(source, target):
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())


def test_version_names_weights_and_options(folder, tmp_path):
    options = {"mean": MEAN, "std": STD}
    one = load_transformers_backbone(folder("vit"), **options)
    copy(folder("vit"), tmp_path)
    same = load_transformers_backbone(tmp_path, **options)
    assert one.version == same.version
    assert one.version != load_transformers_backbone(tmp_path, side=80, **options).version
    torch.manual_seed(9)
    transformers.ViTModel(transformers.ViTConfig(**VIT)).save_pretrained(tmp_path)
    assert one.version != load_transformers_backbone(tmp_path, **options).version


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vit", {}, "expected preprocessor_config.json with image_mean"),
        ("resnet", {"mean": MEAN, "std": STD}, "or side, mean and std"),
        ("vit", {"mean": MEAN, "std": (1, 0, 1)}, "deviations that are not zero"),
        ("vit", {"mean": MEAN[:2], "std": STD}, "three means"),
        ("vit", {"mean": MEAN, "std": STD, "layers": (7,)}, r"layers from -3 to 2 \(got 7\)"),
        ("vit", {"mean": MEAN, "std": STD, "layers": ()}, "a layer or more"),
        ("vit", {"mean": MEAN, "std": STD, "side": 5}, "expected a side that the model takes"),
        ("mae", {"mean": MEAN, "std": STD}, r"each of 4 x 4 patches.*\(got 5 tokens\)"),
        ("yolos", {"mean": MEAN, "std": STD}, r"at most 2 before them \(got 117 tokens\)"),
    ],
)
def test_bad_options(folder, name, options, message):
    with pytest.raises(ConfigError, match=message):
        load_transformers_backbone(folder(name), **options)


def test_a_folder_without_safetensors(folder, tmp_path):
    with pytest.raises(ConfigError, match=r"expected a folder with config\.json"):
        load_transformers_backbone(tmp_path)
    copy(folder("vit"), tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"\*\.safetensors"):
        load_transformers_backbone(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [("model.safetensors", "transformers cannot load"), ("config.json", "expected JSON")],
)
def test_damaged_files(folder, tmp_path, name, message):
    copy(folder("vit"), tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError, match=message):
        load_transformers_backbone(tmp_path)


OPTIONS = "image processor's options"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"preprocessor_config\.json: expected JSON"),
        ("[]", OPTIONS),
        ('{"image_mean": 3, "image_std": 3}', OPTIONS),
        ('{"rescale_factor": 0, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}', OPTIONS),
    ],
)
def test_damaged_preprocessor(folder, tmp_path, content, message):
    copy(folder("vit"), tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(content)
    with pytest.raises(FormatError, match=message):
        load_transformers_backbone(tmp_path)


def test_a_configuration_that_only_names_a_backbone(folder, tmp_path):
    copy(folder("resnet"), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["backbone"] = "microsoft/resnet-50"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="which would need timm or a download"):
        load_transformers_backbone(tmp_path, side=64, mean=MEAN, std=STD)


def test_weights_keep_their_type(tmp_path):
    make("resnet").to(torch.bfloat16).save_pretrained(tmp_path)
    backbone = load_transformers_backbone(tmp_path, side=64, mean=MEAN, std=STD)
    assert {weight.dtype for weight in backbone.parameters()} == {torch.bfloat16}


def test_missing_weights(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    copy(folder("vit"), tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    name = next(name for name in weights if "layernorm_after" in name)
    del weights[name]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="layernorm_after"):
        load_transformers_backbone(tmp_path)
