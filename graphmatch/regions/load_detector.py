"""`load_detector`: a detector by the file or folder that a command is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graphmatch.errors import ConfigError
from graphmatch.regions.base import Detector

if TYPE_CHECKING:
    from graphmatch.datasets.boxes import BoxAnnotations

_KINDS = (
    "PicoDet's .onnx file, a folder with a detector of transformers (config.json), COCO .json, "
    "voc:FOLDER or flickr30k:FOLDER"
)


def load_detector(
    path: str | Path,
    *,
    phrases: Sequence[str] = (),
    least_score: float = 0.05,
    threads: int = 0,
) -> Detector:
    """A detector of a kind that the file or folder tells.

    Args:
        path: PicoDet's `.onnx` file; a folder with a detector of transformers, which has a
            `config.json`; annotated boxes: COCO's `.json` or `.json.gz`, `voc:FOLDER` of Pascal
            VOC's XML files, `flickr30k:FOLDER` of Flickr30k Entities'.
        phrases: what an open-vocabulary detector looks for.
        least_score: regions that do not score more are left out; annotated boxes all score 1.
        threads: of onnxruntime; 0 for as many as there are cores.

    Returns:
        The detector.

    Raises:
        ConfigError: none of them, phrases for a detector with fixed classes, a missing library.
        FormatError: a damaged file.

    Example:
        >>> load_detector("picodet.onx")
        Traceback (most recent call last):
        graphmatch.errors.ConfigError: picodet.onx: expected a detector: PicoDet's .onnx file, a folder with a detector of transformers (config.json), COCO .json, voc:FOLDER or flickr30k:FOLDER
    """  # noqa: E501
    file = Path(path)
    if (file / "config.json").is_file():
        from graphmatch.regions.transformers_detector import load_transformers_detector

        return load_transformers_detector(file, phrases=phrases, least_score=least_score)
    if phrases:
        raise ConfigError(f"{path}: expected no phrases (its classes are fixed)")
    if file.suffix == ".onnx":
        from graphmatch.regions.picodet import picodet

        return picodet(file, least_score=least_score, threads=threads)
    annotations = _read_annotations(str(path))
    if annotations is not None:
        from graphmatch.regions.annotated import AnnotatedDetector

        return AnnotatedDetector(annotations)
    raise ConfigError(f"{path}: expected a detector: {_KINDS}")


def _read_annotations(path: str) -> BoxAnnotations | None:
    if path.startswith("voc:"):
        from graphmatch.datasets.xml_boxes import read_voc_boxes

        return read_voc_boxes(path.removeprefix("voc:"))
    if path.startswith("flickr30k:"):
        from graphmatch.datasets.xml_boxes import read_flickr_boxes

        return read_flickr_boxes(path.removeprefix("flickr30k:"))
    if path.endswith((".json", ".json.gz")):
        from graphmatch.datasets.coco_boxes import read_coco_boxes

        return read_coco_boxes(path)
    return None
