"""Stores of the benchmark `coco.py`: captions, regions, and captions with shuffled trees.

| set | images | a region's numbers |
|---|---|---|
| `regions` | 1,681 / 568 / 284 with detected regions | 128 of its look, 81 of its class times its score (the last: whole image), 7 of its box |
| `boxes` | 3,000 / 1,000 / 500 with annotated boxes | 81 of its class, 7 of its box, 9 in which cell of a 3 x 3 grid its middle is, 80 how often the image has each class and 80 how large these are (of the whole image only) |

A box is x1 y1 x2 y2, width, height and area as shares of the image. The last region of an image is
the image as a whole. Captions are the first five of each image, parsed with spaCy.
"""  # noqa: E501

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from shuffled_parser import ShuffledParser

from graphmatch.caption_set import CaptionSet
from graphmatch.datasets.captions import Caption
from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_store import FeatureStore
from graphmatch.feature_writer import FeatureWriter
from graphmatch.output import open_output
from graphmatch.pair_set import PairSet
from graphmatch.parse_job import GraphChoice, parse_captions
from graphmatch.parsers import load_parser
from graphmatch.parsers.base import Parser
from graphmatch.store import GraphStore
from graphmatch.store_folder import MANIFEST
from graphmatch.vocab import Vocabulary

SetName = Literal["regions", "boxes"]
SETS: tuple[SetName, ...] = ("regions", "boxes")
SPLITS = ("train", "val", "test")
HELD = "held"
"""Images of val and test together, which SugarCrepe, VSR and CxC are asked about."""
CAPTIONS = 5  # of an image
CLASSES = 80  # of COCO; one more is the image as a whole
VISUAL = 128  # numbers of the look of a detected region
CLASS_SCALE, PLACE_SCALE = (
    8.0,
    4.0,
)  # so that classes weigh as much as the look, which learns faster


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Where the stores of a set are.

    Args:
        name: of the set.
        folder: that holds them.
        cxc: file with ratings of similarity.
    """

    name: SetName
    folder: Path
    cxc: Path

    def captions(self, split: str, *, shuffled: bool = False) -> Path:
        """Store of captions, with their trees or with shuffled ones."""
        return self.folder / f"{'shuffled' if shuffled else 'captions'}-{split}"

    def visual(self, split: str) -> Path:
        """Store of regions."""
        return self.folder / split

    def compositional(self) -> dict[str, Path]:
        """Files of benchmarks of composition about images of val and test."""
        files = {"sugarcrepe": "sugarcrepe.json", "vsr": "vsr.jsonl"}
        return {**{name: self.folder / file for name, file in files.items()}, "cxc": self.cxc}

    def pairs(self, split: str) -> PairSet:
        """Captions joined with images, in the order of score matrices."""
        words = Vocabulary(("<unk>",), "<unk>")
        rows = GraphStore(self.captions(split))
        captions = CaptionSet(rows, words, graph="dependencies")
        return PairSet(captions, FeatureStore(self.visual(split)))


def make_stores(
    data: Path,
    out: Path,
    name: SetName,
    *,
    limit: int | None = None,
    tell: Callable[[str], None] = print,
) -> Stores:
    """Make what is not there yet of a set's stores.

    Args:
        data: folder with `coco_regions` and `coco_val2017`.
        out: folder for a folder of the set.
        name: of the set.
        limit: images of each split; all if None.
        tell: gets a line for each store.

    Returns:
        Where they are.
    """
    coco = data / "coco_val2017"
    stores = Stores(name=name, folder=out / name, cxc=coco / "cxc.csv.gz")
    read = detected_records if name == "regions" else annotated_records
    job = {"benchmark": "coco", "set": name, "limit": limit}
    ids: dict[str, list[str]] = {}
    for split in SPLITS:
        visual = stores.visual(split)
        if not _complete(visual, job):
            _write(visual, read(data, split, limit), job)
        ids[split] = FeatureStore(visual).ids
        tell(f"{FeatureStore(visual)!r}")
    if not _complete(stores.visual(HELD), job):
        records = (one for split in ("val", "test") for one in FeatureStore(stores.visual(split)))
        _write(stores.visual(HELD), records, job)
    texts = first_captions(coco / "captions_val2017.json.gz")
    spacy = load_parser("spacy")
    kinds: list[tuple[Parser, GraphChoice]] = [
        (spacy, "both"),
        (ShuffledParser(spacy), "dependencies"),
    ]
    for split in SPLITS:
        captions = [caption for key in ids[split] for caption in texts[key]]
        for parser, graph in kinds:
            shuffled = isinstance(parser, ShuffledParser)
            folder = stores.captions(split, shuffled=shuffled)
            report = parse_captions(captions, folder, parser=parser, graph=graph)
            tell(f"{folder}: {report.captions:,} captions, {report.failed:,} failed")
    held = {int(key) for split in ("val", "test") for key in ids[split]}
    files = stores.compositional()
    tell(f"{choose_sugarcrepe(coco / 'sugarcrepe.json.gz', files['sugarcrepe'], held)}")
    tell(f"{choose_statements(coco / 'vsr_val2017.jsonl.gz', files['vsr'], held)}")
    return stores


def first_captions(path: Path) -> dict[str, list[Caption]]:
    """The first captions of each image of COCO's file, by the image's id."""
    found: dict[str, list[Caption]] = {}
    for row in _read(path)["annotations"]:
        owner = str(row["image_id"])
        some = found.setdefault(owner, [])
        if len(some) < CAPTIONS:
            some.append(Caption(id=str(row["id"]), owner=owner, text=row["caption"]))
    return found


def detected_records(data: Path, split: str, limit: int | None) -> Iterator[FeatureRecord]:
    """Images of the set `regions`."""
    with np.load(data / "coco_regions" / f"regions_{split}.npz") as archive:
        arrays = {key: archive[key] for key in archive.files}
    ends = np.cumsum(arrays["num_regions"].astype(np.int64))
    starts = ends - arrays["num_regions"]
    places = zip(arrays["image_id"].tolist()[:limit], starts, ends, strict=False)
    for image, start, end in places:
        box = arrays["boxes"][start:end].astype(np.float32) / 2  # stored in half pixels
        size = box[-1, 2:].astype(np.int32)  # of the whole image
        label = arrays["category"][start:end].astype(np.int32)
        score = arrays["score"][start:end].astype(np.float32)
        look = arrays["features"][start:end].astype(np.float32)
        classes = CLASS_SCALE * score[:, None] * _one_hot(label)
        box = np.minimum(box, np.tile(size, 2)).astype(np.float32)
        feature = np.concatenate([look, classes, relative_boxes(box, size)], axis=1)
        columns = {"feature": feature, "box": box, "size": size, "score": score, "label": label}
        yield FeatureRecord(id=str(image), columns=columns)


def annotated_records(data: Path, split: str, limit: int | None) -> Iterator[FeatureRecord]:
    """Images of the set `boxes`; one without boxes has one region, the whole image."""
    coco = data / "coco_val2017"
    content = _read(coco / "instances_val2017.json.gz")
    number = {row["id"]: place for place, row in enumerate(content["categories"])}
    sizes = {row["id"]: (row["width"], row["height"]) for row in content["images"]}
    found: dict[int, list[tuple[int, list[float]]]] = {}
    for row in content["annotations"]:
        some = found.setdefault(row["image_id"], [])
        some.append((number[row["category_id"]], row["bbox"]))
    for image in _read(coco / "splits.json")[split][:limit]:
        width, height = sizes[image]
        boxes = [(x, y, x + w, y + h) for _, (x, y, w, h) in found.get(image, [])]
        size = np.array([width, height], np.int32)
        box = np.array([*boxes, (0, 0, width, height)], np.float32)  # [R, 4]
        box = np.minimum(box, np.tile(size, 2)).astype(np.float32)
        label = np.array([one for one, _ in found.get(image, [])] + [-1], np.int32)
        share = relative_boxes(box, size)
        summary = np.zeros((len(label), 2 * CLASSES), np.float32)  # of the whole image alone
        summary[-1, :CLASSES] = np.log1p(np.bincount(label[:-1], minlength=CLASSES))
        area = np.bincount(label[:-1], share[:-1, 6], minlength=CLASSES)
        summary[-1, CLASSES:] = np.sqrt(area)
        parts = [
            CLASS_SCALE * _one_hot(label),
            PLACE_SCALE * share,
            PLACE_SCALE * cells(share),
            PLACE_SCALE * summary,
        ]
        feature = np.concatenate(parts, axis=1)
        columns = {
            "feature": feature.astype(np.float32),
            "box": box,
            "size": size,
            "score": np.ones(len(label), np.float32),
            "label": label,
        }
        yield FeatureRecord(id=str(image), columns=columns)


def relative_boxes(box: NDArray[np.float32], size: NDArray[np.int32]) -> NDArray[np.float32]:
    """[R, 7] x1 y1 x2 y2, width, height and area of boxes [R, 4] as shares of an image's size."""
    share = box / np.tile(size, 2)
    extent = share[:, 2:] - share[:, :2]
    area = extent.prod(axis=1, keepdims=True)
    return np.concatenate([share, extent, area], axis=1).astype(np.float32)


def cells(share: NDArray[np.float32]) -> NDArray[np.float32]:
    """[R, 9] in which cell of a 3 x 3 grid the middle of a box is, of `relative_boxes` [R, 7]."""
    middle = (share[:, :2] + share[:, 2:4]) / 2
    column, row = np.clip(middle * 3, 0, 2).astype(np.int64).T
    return np.eye(9, dtype=np.float32)[3 * row + column]


def choose_sugarcrepe(source: Path, target: Path, images: set[int]) -> str:
    """Write SugarCrepe's items about some images; says how many there are."""
    chosen: dict[str, dict[str, Any]] = {}
    every = 0
    for category, group in _read(source).items():
        items = group.items() if isinstance(group, dict) else enumerate(group)
        for key, item in items:
            every += 1
            if int(Path(item["filename"]).stem) in images:
                chosen.setdefault(category, {})[str(key)] = item
    with open_output(target, force=True) as stream:
        json.dump(chosen, stream)
    count = sum(len(group) for group in chosen.values())
    return f"SugarCrepe: {count:,} of {every:,} items are about images of val and test"


def choose_statements(source: Path, target: Path, images: set[int]) -> str:
    """Write VSR's statements about some images; says how many there are."""
    with gzip.open(source, "rt", encoding="utf-8") as stream:
        lines = [line for line in stream if line.strip()]
    chosen = [line for line in lines if json.loads(line)["image_id"] in images]
    with open_output(target, force=True) as stream:
        stream.writelines(chosen)
    return f"VSR: {len(chosen):,} of {len(lines):,} statements are about images of val and test"


def _one_hot(label: NDArray[np.int32]) -> NDArray[np.float32]:
    """[R, 81] of labels [R]; -1, the whole image, is the last one."""
    return np.eye(CLASSES + 1, dtype=np.float32)[label]


def _complete(folder: Path, job: dict[str, Any]) -> bool:
    path = folder / MANIFEST
    if not path.exists():
        return False
    manifest = json.loads(path.read_text(encoding="utf-8"))
    return bool(manifest["complete"]) and job.items() <= manifest["job"].items()


def _write(folder: Path, records: Iterator[FeatureRecord], job: dict[str, Any]) -> None:
    with FeatureWriter(folder, kind="regions", job=job) as writer:
        for record in records:
            if record.id not in writer:
                writer.add(record)


def _read(path: Path) -> Any:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as stream:
        return json.load(stream)
