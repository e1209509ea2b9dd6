"""Flickr8k and Flickr30k: five captions an image.

Sources: Hodosh, Young and Hockenmaier, JAIR 2013; Young et al., TACL 2014.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import replace
from pathlib import Path

from graphmatch.datasets.captions import read_captions
from graphmatch.datasets.dataset import DataSet, Visual
from graphmatch.datasets.splits import assign_splits, owner_splits
from graphmatch.datasets.text_files import read_lines
from graphmatch.errors import FormatError


def read_flickr(
    captions: str | Path,
    *,
    splits: Mapping[str, str | Path] | None = None,
    name: str = "flickr30k",
    format: str | None = None,
) -> DataSet:
    r"""Images and captions of a token file, or of a file whose records name their split.

    Args:
        captions: `Flickr8k.token.txt` or `results_20130124.token`; or JSON lines or Karpathy's
            `dataset_flickr30k.json` with `filename` (or `img_path`), `captions` (or `sentences`)
            and `split`; whatever `read_captions` reads with an owner.
        splits: lists of image names by split, such as `Flickr_8k.trainImages.txt`, one a line,
            with or without `.jpg`. They go before what the captions say.
        name: of the data set.
        format: of `captions`, a key of `graphmatch.datasets.captions.FORMATS`; by its name if None.

    Returns:
        Images by their file names, in the order of the captions; those of no list have no split,
        those of a list that have no caption have an error. A number that a token file puts behind
        an image's suffix (`2258277193_586949ec62.jpg.1` in Flickr8k) is taken away.

    Raises:
        FormatError: a file is missing, no caption names its image, no image of a list has one.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.token").write_text("1.jpg#0\tA dog .\n1.jpg#1\tA cat .\n")
        >>> _ = (folder / "train.txt").write_text("1.jpg\n")
        >>> data = read_flickr(folder / "a.token", splits={"train": folder / "train.txt"})
        >>> [caption.id for caption in data.captions_of("1.jpg")]
        ['1.jpg#0', '1.jpg#1']
    """
    found = [replace(c, owner=_image(c.owner)) for c in read_captions(captions, format)]
    if all(caption.owner is None for caption in found):
        raise FormatError(f"{captions}: expected captions that name their image (got none)")
    if splits is not None:
        found = [replace(caption, split=None) for caption in found]
    visuals = [
        Visual(id=image, kind="image", split=split, file=image)
        for image, split in owner_splits(found).items()
    ]
    if splits is not None:
        images = {visual.id for visual in visuals}
        lists = {split: _names(path, images) for split, path in splits.items()}
        visuals = assign_splits(visuals, lists)
    return DataSet(name=name, visuals=tuple(visuals), captions=tuple(found)).check()


def _image(owner: str | None) -> str | None:
    return None if owner is None else re.sub(r"(?i)(\.jpe?g|\.png)\.\d+$", r"\1", owner)


def _names(path: str | Path, images: Set[str]) -> list[str]:
    lines = [line.strip() for _, line, _ in read_lines(path) if line.strip()]
    names = [f"{n}.jpg" if n not in images and f"{n}.jpg" in images else n for n in lines]
    if images.isdisjoint(names):
        raise FormatError(f"{path}: expected names of images that have captions (got none)")
    return names
