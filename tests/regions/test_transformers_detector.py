"""Detectors of transformers from folders with tiny models that are made here, weights at random."""

import json
import math
import pickle
import shutil
import sys

import numpy as np
import pytest
import torch
import transformers

from graphmatch.errors import CheckpointError, ConfigError, FormatError, GraphError
from graphmatch.regions.base import Detector, Photo
from graphmatch.regions.owl_detector import square_pixels
from graphmatch.regions.transformers_detector import load_transformers_detector
from tests.regions.tiny_detectors import (
    KINDS,
    PHRASES,
    save_tiny_detectors,
)


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    save_tiny_detectors(root)
    return root


@pytest.fixture
def load(folders):
    def make(kind, **options):
        phrases = PHRASES if kind.startswith("owl") else ()
        settings = {"phrases": phrases, "least_score": 0.0, **options}
        return load_transformers_detector(folders / kind, **settings)

    return make


def noise(height, width, seed=0, size=None):
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    pixels = small.repeat(-(-height // 4), 0).repeat(-(-width // 4), 1)[:height, :width]
    return Photo(id=str(seed), pixels=np.ascontiguousarray(pixels), size=size or (width, height))


PHOTOS = [noise(50, 40, 1), noise(40, 50, 2), noise(64, 96, 3), noise(50, 40, 4), noise(30, 90, 5)]


@pytest.mark.parametrize("kind", KINDS)
def test_protocol(load, kind):
    detector = load(kind)
    assert isinstance(detector, Detector)
    assert detector.labels == (PHRASES if kind.startswith("owl") else ("cat", "dog", "tree"))
    assert detector.name == f"transformers {kind} {kind}"
    assert detector.version.startswith(f"transformers {transformers.__version__}, ")
    assert detector.detect([]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_lie_in_the_original_photograph(load, kind):
    detector = load(kind, top=7)
    (found,) = detector.detect([PHOTOS[0]])
    assert 0 < len(found) <= 7
    assert found.feature.shape == (len(found), 32)
    assert (found.score.diff() <= 0).all()
    assert found.label.min() >= 0
    assert found.label.max() < 3
    assert len({tuple(box) for box in found.box.tolist()}) > 1
    assert (found.box >= 0).all()
    assert (found.box <= torch.tensor([40, 50, 40, 50])).all()
    assert (found.box[:, 2:] >= found.box[:, :2]).all()
    large = Photo(id="", pixels=PHOTOS[0].pixels, size=(4000, 5000))  # pixels are a reduced copy
    (again,) = detector.detect([large])
    assert again.size == (4000, 5000)
    torch.testing.assert_close(again.box, found.box * 100, atol=1e-2, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_batch_equals_one_by_one(load, kind):
    detector = load(kind)
    together = detector.detect(PHOTOS)
    for photo, found in zip(PHOTOS, together, strict=True):
        (alone,) = detector.detect([photo])
        assert found.size == alone.size == photo.size
        assert found.label.tolist() == alone.label.tolist()
        for name in ("box", "score", "feature"):
            torch.testing.assert_close(
                getattr(found, name), getattr(alone, name), atol=1e-3, rtol=1e-4
            )


@pytest.mark.parametrize("kind", ["rt_detr_v2", "d_fine", "yolos"])
def test_regions_are_those_of_the_processor(load, folders, kind):
    """The library's own way, and a loop over pairs of a query and a class."""
    model = transformers.AutoModelForObjectDetection.from_pretrained(folders / kind)
    processor = transformers.AutoImageProcessor.from_pretrained(folders / kind, backend="pil")
    photo = PHOTOS[1]
    inputs = processor(images=[photo.pixels], return_tensors="pt")
    with torch.inference_mode():
        output = model(**inputs)
    (expected,) = processor.post_process_object_detection(
        output, threshold=0.2, target_sizes=[photo.size[::-1]]
    )
    (found,) = load(kind, least_score=0.2).detect([photo])
    order = expected["scores"].argsort(descending=True, stable=True)
    limits = torch.tensor([*photo.size, *photo.size])
    torch.testing.assert_close(found.score, expected["scores"][order])
    assert found.label.tolist() == expected["labels"][order].tolist()
    clipped = expected["boxes"][order].clamp(min=0).minimum(limits)
    torch.testing.assert_close(found.box, clipped, atol=1e-4, rtol=1e-5)
    logits, width = output.logits[0], output.logits.size(2)
    states = output.last_hidden_state[0, -len(logits) :]
    for score, label, feature in zip(found.score, found.label, found.feature, strict=True):
        chances = logits.softmax(1) if kind == "yolos" else logits.sigmoid()
        query = (chances[:, label] - score).abs().argmin()
        assert math.isclose(chances[query, label], score, abs_tol=1e-5)
        torch.testing.assert_close(feature, states[query], atol=1e-4, rtol=1e-4)
    assert width == (4 if kind == "yolos" else 3)


@pytest.mark.parametrize("kind", ["owlv2", "owlvit"])
def test_phrases_against_the_whole_model(load, folders, kind):
    """Phrases embedded once, and images alone, against the model's own forward."""
    detector = load(kind, least_score=0.4)
    model = transformers.AutoModelForZeroShotObjectDetection.from_pretrained(folders / kind)
    words = transformers.AutoTokenizer.from_pretrained(folders / kind)
    tokens = words([*PHRASES], padding="max_length", max_length=8, return_tensors="pt")
    photo = PHOTOS[1]
    pixels = detector.prepare(photo)["pixel_values"]
    assert pixels.shape == (1, 3, 64, 64)
    with torch.inference_mode():
        output = model(pixel_values=pixels, **tokens)
    score, label = output.logits[0].sigmoid().max(1)
    order = score.argsort(descending=True, stable=True)[: int((score > 0.4).sum())]
    (found,) = detector.detect([photo])
    assert 0 < len(found) < len(score)
    torch.testing.assert_close(found.score, score[order])
    assert found.label.tolist() == label[order].tolist()
    torch.testing.assert_close(found.feature, output.class_embeds[0][order], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.feature.norm(dim=1), torch.ones(len(found)))
    centre, half = (
        output.pred_boxes[0][order].split(2, dim=1)[0],
        output.pred_boxes[0][order, 2:] / 2,
    )
    scale = torch.tensor([50.0, 50]) if kind == "owlv2" else torch.tensor([50.0, 40])
    box = torch.cat([(centre - half) * scale, (centre + half) * scale], dim=1)
    limits = torch.tensor([50.0, 40, 50, 40])
    torch.testing.assert_close(found.box, box.clamp(min=0).minimum(limits), atol=1e-4, rtol=1e-4)


def test_too_thin_for_the_processor(load):
    detector = load("yolos")
    with pytest.raises(GraphError, match=r"YolosImageProcessorPil takes \(got 900 x 3 pixels"):
        detector.detect([PHOTOS[0], noise(3, 900)])
    assert len(load("owlv2").detect([noise(3, 900)])[0]) > 0


def mirrored(place, size):
    while size > 1 and not 0 <= place < size:
        place = -place if place < 0 else 2 * (size - 1) - place
    return place if size > 1 else 0


def naive_square(pixels, side):
    """Pad, blur along both axes, and sample: pixel by pixel, as the definition says."""
    size = max(pixels.shape[:2])
    padded = np.zeros((size, size))
    padded[: pixels.shape[0], : pixels.shape[1]] = pixels
    deviation = max(0, (size / side - 1) / 2)
    if deviation:
        reach = int(4 * deviation + 0.5)
        kernel = [math.exp(-0.5 * (k / deviation) ** 2) for k in range(-reach, reach + 1)]
        for _ in range(2):
            blurred = np.zeros_like(padded)
            for k, weight in enumerate(kernel):
                for i in range(size):
                    blurred[i] += weight / sum(kernel) * padded[mirrored(i + k - reach, size)]
            padded = blurred.T
    output = np.zeros((side, side))
    for i in range(side):
        for j in range(side):
            y, x = ((n + 0.5) * size / side - 0.5 for n in (i, j))
            for dy in (0, 1):
                for dx in (0, 1):
                    row, column = math.floor(y) + dy, math.floor(x) + dx
                    weight = (1 - abs(y - row)) * (1 - abs(x - column))
                    output[i, j] += weight * padded[mirrored(row, size), mirrored(column, size)]
    return output


@pytest.mark.parametrize("size", [(9, 14), (14, 9), (3, 2), (1, 1), (40, 7), (5, 5)])
@pytest.mark.parametrize("side", [1, 5, 8])
def test_square_pixels(size, side):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    square = square_pixels(pixels, side)
    assert square.dtype == np.float32
    for channel in range(3):
        np.testing.assert_allclose(
            square[channel], naive_square(pixels[..., channel], side), atol=1e-2
        )


def test_square_pixels_of_one_colour():
    square = square_pixels(np.full((300, 200, 3), 77, np.uint8), 60)
    np.testing.assert_allclose(square[:, :, :36], 77, rtol=1e-5)
    np.testing.assert_allclose(square[:, :, 44:], 0, atol=1e-3)


def test_version_tells_what_changes_results(load, folders, tmp_path):
    first = load("owlv2").version
    assert first == load("owlv2").version
    shutil.copytree(folders / "owlv2", tmp_path / "copy")
    assert (
        load_transformers_detector(tmp_path / "copy", phrases=PHRASES, least_score=0).version
        == first
    )
    options = json.loads((tmp_path / "copy" / "preprocessor_config.json").read_text())
    (tmp_path / "copy" / "preprocessor_config.json").write_text(
        json.dumps(options | {"image_mean": [0.5, 0.5, 0.5]})
    )
    others = [
        load("owlv2", top=5), load("owlv2", phrases=["cat"]), load("owlv2", least_score=0.1),
        load_transformers_detector(tmp_path / "copy", phrases=PHRASES, least_score=0),
    ]  # fmt: skip
    assert len({first, *(other.version for other in others)}) == 5


def test_wrong_phrases(load):
    for phrases, error in [
        ((), "expected phrases to look for"),
        ("a cat", "a list of text"),
        (["a cat", " "], "that are text"),
        (["a cat", 5], "that are text"),
        (["a cat", "dog", "dog"], "'dog' twice"),
        (["cat", "abcdefghijkl"], "at most 8 word pieces"),
    ]:
        with pytest.raises(ConfigError, match=error):
            load("owlv2", phrases=phrases)
    with pytest.raises(ConfigError, match=r"expected no phrases \(a rt_detr_v2 has fixed classes"):
        load("rt_detr_v2", phrases=["a cat"])


def test_wrong_options(load, tmp_path):
    for options in ({"least_score": 2}, {"top": 0}):
        with pytest.raises(ConfigError, match="top of 1 or more"):
            load("yolos", **options)
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(ConfigError, match=r"expected a folder with config.json"):
            load_transformers_detector(folder)


@pytest.fixture
def copy(folders, tmp_path):
    shutil.copytree(folders / "rt_detr_v2", tmp_path / "model")
    return tmp_path / "model"


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_other_models_are_refused(copy):
    edit(copy / "config.json", model_type="bert")
    with pytest.raises(ConfigError, match="unknown model_type"):
        load_transformers_detector(copy)
    edit(copy / "config.json", model_type="rt_detr_v3")
    with pytest.raises(ConfigError, match="did you mean 'rt_detr_v2'"):
        load_transformers_detector(copy)


class Creates:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_pickled_weights_are_refused(copy, tmp_path):
    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Creates(tmp_path / "created")))
    with pytest.raises(ConfigError, match=r"\*.safetensors \(got pytorch_model.bin, a pickle"):
        load_transformers_detector(copy)
    assert not (tmp_path / "created").exists()
    (copy / "pytorch_model.bin").unlink()
    with pytest.raises(ConfigError, match=r"got none"):
        load_transformers_detector(copy)


def test_code_in_the_folder_is_not_run(copy, tmp_path):
    created = tmp_path / "created"
    (copy / "evil.py").write_text(f"open({str(created)!r}, 'w')\n")
    auto = {"AutoConfig": "evil.Config", "AutoModelForObjectDetection": "evil.Model"}
    edit(copy / "config.json", auto_map=auto)
    load_transformers_detector(copy)
    edit(copy / "config.json", architectures=["Evil"])
    edit(copy / "preprocessor_config.json", auto_map={"AutoImageProcessor": "evil.Processor"},
         image_processor_type="Evil")  # fmt: skip
    with pytest.raises(FormatError, match="cannot load the image processor"):
        load_transformers_detector(copy)
    assert not created.exists()


def test_nothing_is_downloaded(copy):
    edit(copy / "config.json", backbone="microsoft/resnet-50", backbone_config=None)
    with pytest.raises(ConfigError, match="would need timm or a download"):
        load_transformers_detector(copy)


def test_damaged_files(copy):
    weights = (copy / "model.safetensors").read_bytes()
    for content in (b"", weights[:1000], b"\xff" * 100, weights[: len(weights) // 2]):
        (copy / "model.safetensors").write_bytes(content)
        with pytest.raises(FormatError, match="transformers cannot load the model"):
            load_transformers_detector(copy)
    (copy / "model.safetensors").write_bytes(weights)
    (copy / "preprocessor_config.json").write_text("{")
    with pytest.raises(FormatError, match="cannot load the image processor"):
        load_transformers_detector(copy)
    (copy / "preprocessor_config.json").unlink()
    with pytest.raises(ConfigError, match=r"expected preprocessor_config.json"):
        load_transformers_detector(copy)
    (copy / "config.json").write_text("[1")
    with pytest.raises(FormatError, match="expected JSON"):
        load_transformers_detector(copy)


def test_missing_and_misshapen_weights(copy):
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    name = "model.encoder_input_proj.0.0.weight"
    shape = weights[name].shape
    weights[name] = torch.zeros(1, *shape[1:])
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(FormatError, match="cannot load the model"):
        load_transformers_detector(copy)
    del weights[name]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=f"expected the weights {name}"):
        load_transformers_detector(copy)


def test_missing_tokenizer(folders, tmp_path):
    shutil.copytree(folders / "owlv2", tmp_path / "model")
    for file in (tmp_path / "model").glob("tokenizer*"):
        file.write_text("{")
    with pytest.raises(FormatError, match="cannot load the tokenizer"):
        load_transformers_detector(tmp_path / "model", phrases=PHRASES)


def test_nan_is_an_error(load):
    detector = load("yolos")
    with torch.no_grad():
        next(detector.model.parameters()).fill_(torch.nan)
    with pytest.raises(GraphError, match="got NaN"):
        detector.detect([PHOTOS[0]])


def test_missing_transformers(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ConfigError, match=r"pip install 'graphmatch\[detect\]'"):
        load("yolos")
