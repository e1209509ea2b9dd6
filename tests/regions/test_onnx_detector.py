"""Graphs built here whose detections are known in closed form; the pixels decide on them."""

import sys

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from graphmatch.errors import ConfigError, FormatError, GraphError
from graphmatch.regions.base import Detector, Photo
from graphmatch.regions.onnx_detector import OnnxDetector, OnnxInput

LABELS = ("red", "green", "blue")
SIZE = 8


def write(path, *, batch, nodes=(), outputs=("box", "score"), extra=()):
    """Mean of each channel as score [B, 1, 3]; box [B, 1, 4] from (0, 0) to 8 x red and green."""
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, SIZE, SIZE])]
    inputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in extra]
    constants = {
        "shape": np.array([0, 1, 3]), "start": np.array([0]), "end": np.array([2]),
        "axis": np.array([2]), "size": np.float32(SIZE), "zero": np.float32(0),
    }  # fmt: skip
    nodes = nodes or [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Reshape", ["mean", "shape"], ["score"]),
        helper.make_node("Slice", ["score", "start", "end", "axis"], ["part"]),
        helper.make_node("Mul", ["part", "size"], ["corner"]),
        helper.make_node("Mul", ["part", "zero"], ["origin"]),
        helper.make_node("Concat", ["origin", "corner"], ["box"], axis=2),
    ]
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        inputs,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def decode(outputs, _least_score):
    assert [o.shape for o in outputs] == [(1, 1, 4), (1, 1, 3)]
    return torch.from_numpy(outputs[0][0]), torch.from_numpy(outputs[1][0])


def photo(colour, width=20, height=10, size=None):
    pixels = np.full((height, width, 3), colour, dtype=np.uint8)
    return Photo(id=str(colour), pixels=pixels, size=size or (width, height))


@pytest.fixture
def tiny(tmp_path):
    def make(batch=1, **options):
        path = write(tmp_path / f"tiny_{batch}.onnx", batch=batch)
        input = options.pop("input", OnnxInput(width=SIZE, height=SIZE))
        settings = {"labels": LABELS, "threads": 1, **options}
        return OnnxDetector(path, input, settings.pop("decode", decode), **settings)

    return make


def test_closed_form(tiny):
    detector = tiny()
    assert isinstance(detector, Detector)
    (found,) = detector.detect([photo((255, 51, 0))])
    assert found.size == (20, 10)
    assert found.label.tolist() == [0, 1]  # blue is not above 0.05
    torch.testing.assert_close(found.score, torch.tensor([1, 0.2]))
    torch.testing.assert_close(found.box, torch.tensor([[0, 0, 20.0, 2]] * 2))
    assert found.feature is None


def test_boxes_are_in_pixels_of_the_original(tiny):
    (found,) = tiny().detect([photo((255, 51, 0), size=(2000, 1000))])
    torch.testing.assert_close(found.box[0], torch.tensor([0, 0, 2000.0, 200]))
    assert found.size == (2000, 1000)


def test_normalisation_and_order_of_channels(tiny):
    input = OnnxInput(
        width=SIZE, height=SIZE, mean=(0.5, 0.25, 0.1), std=(0.5, 0.3, 0.2), channels="BGR"
    )
    (found,) = tiny(input=input, top=1).detect([photo((51, 204, 255))])
    # the network's channels are blue 1, green 0.8, red 0.2 before the mean is taken off
    assert found.label.tolist() == [1]
    torch.testing.assert_close(found.score, torch.tensor([(0.8 - 0.25) / 0.3]))
    raw = OnnxInput(width=SIZE, height=SIZE, std=(1 / 255,) * 3)
    torch.testing.assert_close(
        raw.prepare(photo((51, 204, 255)))[:, 0, 0], np.array([51, 204, 255], np.float32)
    )


COLOURS = [(255, 51, 0), (10, 200, 30), (0, 0, 255), (0, 0, 0), (90, 80, 70)]


@pytest.mark.parametrize("batch", [1, 2, 5, 7, "N"])
def test_fixed_and_dynamic_batches_equal_one_by_one(tiny, batch):
    photos = [photo(colour, 20 + k, 10 + k) for k, colour in enumerate(COLOURS)]
    one = tiny(1)
    many = tiny(batch, input=OnnxInput(width=SIZE, height=SIZE, batch=3))
    for found, alone in zip(
        many.detect(photos), map(one.detect, [[p] for p in photos]), strict=True
    ):
        torch.testing.assert_close(found.box, alone[0].box)
        torch.testing.assert_close(found.score, alone[0].score)
        assert found.label.tolist() == alone[0].label.tolist()
    assert many.detect([]) == []


def test_nothing_found(tiny):
    (found,) = tiny().detect([photo((0, 0, 0))])
    assert found.box.shape == (0, 4)
    assert len(found) == 0


def several(outputs, _least_score):
    box = torch.tensor([[-3.0, -3, 8, 8], [0, 0, 8, 7.5], [0, 0, 99, 99]])
    return box, torch.tensor([[0.5, 0.04, 0], [0.6, 0.5, 0], [0.55, 0, 0]])


def test_suppression_least_score_top_and_border(tiny):
    (found,) = tiny(decode=several).detect([photo(1, 8, 8)])
    assert found.label.tolist() == [0, 1]  # the third box is the first one, cut at the border
    torch.testing.assert_close(found.box, torch.tensor([[0, 0, 8, 7.5]] * 2))
    everything = tiny(decode=several, overlap=1, least_score=0.0).detect([photo(1, 8, 8)])[0]
    assert everything.label.tolist() == [0, 0, 0, 1, 1]
    assert everything.box.min() == 0
    assert everything.box.max() == 8
    assert len(tiny(decode=several, overlap=1, top=2).detect([photo(1)])[0]) == 2


def test_values_of_other_inputs(tmp_path):
    add = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Reshape", ["mean", "shape"], ["low"]),
        helper.make_node("Add", ["low", "more"], ["score"]),
        helper.make_node("Slice", ["score", "start", "end", "axis"], ["part"]),
        helper.make_node("Concat", ["part", "part"], ["box"], axis=2),
    ]
    path = write(tmp_path / "two.onnx", batch="N", nodes=add, extra=["more"])
    constants = {"more": np.array([0.25], np.float32)}
    for name in (None, "image"):
        input = OnnxInput(width=SIZE, height=SIZE, name=name, constants=constants)
        (found,) = OnnxDetector(path, input, decode, labels=LABELS).detect([photo((51, 0, 0))])
        torch.testing.assert_close(found.score, torch.tensor([0.45, 0.25, 0.25]))
    with pytest.raises(ConfigError, match=r"one input that is no constant \(got image, more\)"):
        OnnxDetector(path, OnnxInput(width=SIZE, height=SIZE), decode, labels=LABELS)
    wrong = OnnxInput(width=SIZE, height=SIZE, constants={"mor": np.zeros(1)})
    with pytest.raises(ConfigError, match="did you mean 'more'"):
        OnnxDetector(path, wrong, decode, labels=LABELS)


def test_version_tells_what_changes_results(tiny):
    first = tiny()
    assert first.version == tiny().version
    others = [
        tiny(top=3), tiny(least_score=0.1), tiny(overlap=0.5), tiny(labels=("r", "g", "b")),
        tiny("N"), tiny(decode=several), tiny(input=OnnxInput(width=8, height=8, channels="BGR")),
    ]  # fmt: skip
    assert len({first.version, *(other.version for other in others)}) == 8
    assert tiny(threads=2).version == first.version


def test_damaged_models(tiny, tmp_path):
    tiny()
    good = (tmp_path / "tiny_1.onnx").read_bytes()
    input = OnnxInput(width=SIZE, height=SIZE)
    for name, content in {
        "empty": b"", "text": b"a dog runs" * 99, "half": good[: len(good) // 2],
        "zeros": bytes(500), "image": b"\x89PNG\r\n\x1a\n" + bytes(99),
    }.items():  # fmt: skip
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(content)
        with pytest.raises(FormatError, match=f"{name}.onnx: expected an ONNX model"):
            OnnxDetector(path, input, decode, labels=LABELS)
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(FormatError, match="no such file"):
            OnnxDetector(path, input, decode, labels=LABELS)


def test_a_graph_that_fails_when_it_runs(tmp_path):
    reshape = [
        helper.make_node("Reshape", ["image", "shape"], ["box"]),  # 192 numbers do not fit
        helper.make_node("Identity", ["box"], ["score"]),
    ]
    path = write(tmp_path / "fails.onnx", batch="N", nodes=reshape)
    detector = OnnxDetector(path, OnnxInput(width=SIZE, height=SIZE), decode, labels=LABELS)
    with pytest.raises(FormatError, match=r"fails.onnx: the model fails"):
        detector.detect([photo(1)])


def test_outputs_that_are_no_batch(tmp_path):
    mean = [helper.make_node("ReduceMean", ["image"], ["box"], keepdims=0)]
    path = write(tmp_path / "mean.onnx", batch="N", nodes=mean, outputs=["box"])

    def one(outputs, _least_score):
        return torch.zeros(1, 4), torch.from_numpy(outputs[0].reshape(1, 1))

    detector = OnnxDetector(
        path, OnnxInput(width=SIZE, height=SIZE, batch=2), one, labels=("object",)
    )
    assert len(detector.detect([photo(255)])[0]) == 1
    with pytest.raises(ConfigError, match=r"outputs of 2 photographs .* use batch=1"):
        detector.detect([photo(255), photo(255)])


def test_wrong_decode(tiny):
    def short(outputs, _least_score):
        return torch.zeros(2, 4), torch.zeros(2, 2)

    def broken(outputs, _least_score):
        return torch.full((1, 4), torch.nan), torch.ones(1, 3)

    def unsure(outputs, _least_score):
        return torch.zeros(1, 4), torch.full((1, 3), torch.nan)

    with pytest.raises(ConfigError, match=r"scores \[N, 3\] \(got \[2, 4\] and \[2, 2\]\)"):
        tiny(decode=short).detect([photo(1)])
    for decode in (broken, unsure):
        with pytest.raises(GraphError, match="got NaN"):
            tiny(decode=decode).detect([photo(1)])


def test_wrong_options(tiny):
    with pytest.raises(ConfigError, match=r"\[1, 3, 8, 16\] as OnnxInput says .*\[1, 3, 8, 8\]"):
        tiny(input=OnnxInput(width=16, height=8))
    with pytest.raises(ConfigError, match=r"unknown input of tiny_1.onnx .images.*image"):
        tiny(input=OnnxInput(width=SIZE, height=SIZE, name="images"))
    with pytest.raises(ConfigError, match="unknown provider 'CPU'"):
        tiny(provider="CPU")
    for name, value in [("least_score", 5), ("overlap", -1), ("top", 0), ("threads", -1)]:
        with pytest.raises(ConfigError, match=name):
            tiny(**{name: value})
    with pytest.raises(ConfigError, match="did you mean 'RGB'"):
        OnnxInput(width=1, height=1, channels="RGBA")
    with pytest.raises(ConfigError, match="1 or more"):
        OnnxInput(width=1, height=1, batch=0)
    with pytest.raises(ConfigError, match="three positive stds"):
        OnnxInput(width=1, height=1, std=(1.0, 0.0, 1.0))


def test_missing_onnxruntime(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"pip install 'graphmatch\[detect\]'"):
        tiny()
