"""`graphmatch regions`: images to a store of regions and their features."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphmatch.cli.options import finish_features

if TYPE_CHECKING:
    from graphmatch.regions.base import Describer


Images = Annotated[
    list[str],
    typer.Argument(
        help="Folders, patterns, images, lists of paths (.txt), tar archives, COCO JSON; - is "
        "a list on standard input."
    ),
]
"""Where images are."""
DetectorName = Annotated[
    str,
    typer.Option(
        help="What finds regions: PicoDet's .onnx file, a folder with a detector of "
        "transformers, or annotated boxes: COCO JSON, voc:FOLDER, flickr30k:FOLDER."
    ),
]
"""Which detector."""
ImagesFolder = Annotated[
    Path | None,
    typer.Option(help="Where the paths of lists and COCO JSON start, if not beside them."),
]
"""Where paths start."""
Phrases = Annotated[
    list[str] | None,
    typer.Option(help="Open-vocabulary detectors: what to look for; repeatable."),
]
"""What to look for."""
Features = Annotated[
    str,
    typer.Option(
        help="What describes regions: efficientnet-lite0, a file with its weights, a folder "
        "with a vision model of transformers, or none for the detector's own embeddings, if it "
        "has any."
    ),
]
"""Which describer."""
ProjectionFile = Annotated[
    Path | None,
    typer.Option(help="efficientnet-lite0: .npz file of mean, basis and scale."),
]
"""How features are projected."""
LeastScore = Annotated[
    float, typer.Option(min=0, max=1, help="Leave regions out that do not score more.")
]
"""Which regions are found."""
Top = Annotated[int, typer.Option(min=0, help="Regions an image at most.")]
"""How many regions are kept."""
Overlap = Annotated[
    float,
    typer.Option(min=0, max=1, help="IoU that regions of different classes may have; 1 keeps all."),
]
"""Which regions are kept."""
WholeImage = Annotated[bool, typer.Option(help="Add the whole image as the last region.")]
"""Whether the image is a region."""
Dtype = Annotated[str, typer.Option(help="Of the features.", metavar="float32|float16")]
"""Numbers of the store."""
BatchSize = Annotated[int, typer.Option(min=1, help="Images at once.")]
"""Images at once."""


def regions(
    images: Images,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the store.")],
    detector: DetectorName,
    images_folder: ImagesFolder = None,
    phrase: Phrases = None,
    features: Features = "efficientnet-lite0",
    projection: ProjectionFile = None,
    least_score: LeastScore = 0.05,
    top: Top = 20,
    overlap: Overlap = 0.7,
    whole_image: WholeImage = True,
    dtype: Dtype = "float32",
    batch_size: BatchSize = 8,
    threads: Annotated[
        int, typer.Option(min=0, help="Of each of the two networks; 0 for half of the cores.")
    ] = 0,
    force: Annotated[bool, typer.Option(help="Throw away another store that is there.")] = False,
) -> None:
    """Find the regions of images and store their boxes, classes, scores and features.

    Interrupted, the same command goes on where it stopped. An image that cannot be used becomes an
    item with its error; the exit code is then 3.
    """
    import torch
    from tqdm import tqdm

    from graphmatch.region_job import RegionChoice, extract_regions
    from graphmatch.regions.load_detector import load_detector
    from graphmatch.regions.photo_sources import read_sources

    started = time.perf_counter()
    # detector and describer work at the same time
    threads = threads or max(1, (os.cpu_count() or 1) // 2)
    torch.set_num_threads(threads)
    sources = read_sources(images, images=images_folder)
    with tqdm(total=sources.count, unit=" images", disable=None) as bar:
        report = extract_regions(
            sources,
            out,
            detector=load_detector(
                detector, phrases=phrase or (), least_score=least_score, threads=threads
            ),
            describer=load_describer(features, projection),
            choice=RegionChoice(
                top=top, overlap=overlap if overlap < 1 else None, whole_image=whole_image
            ),
            dtype=dtype,
            batch_size=batch_size,
            force=force,
            progress=bar.update,
        )
    finish_features(report, item="image", row="region", out=out, started=started)


def load_describer(features: str, projection: Path | None) -> Describer | None:
    """What describes regions, by the options of the command.

    Args:
        features: efficientnet-lite0, a file, a folder, or none.
        projection: file of a projection.

    Returns:
        The describer; None for none.

    Raises:
        ConfigError: a projection of nothing, a missing library.
        FormatError: a damaged file.
    """
    from graphmatch.errors import ConfigError
    from graphmatch.regions.describe import LITE0_SCALING, RegionDescriber
    from graphmatch.regions.efficientnet import EfficientNetLite0
    from graphmatch.regions.load_backbone import load_backbone
    from graphmatch.regions.projection import load_projection

    if features == "none":
        if projection is not None:
            raise ConfigError("expected features to project (got --features none)")
        return None
    backbone = load_backbone(features)
    scaling = LITE0_SCALING if isinstance(backbone, EfficientNetLite0) else None
    fitted = None if projection is None else load_projection(projection)
    return RegionDescriber(backbone, scaling=scaling, projection=fitted)
