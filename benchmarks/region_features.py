"""Region features: equal to the stored ones, and their time against bare network calls.

python benchmarks/region_features.py DATA [--rounds 3] [--threads 1]

DATA holds `coco_photos` and `coco_regions`. The photographs of original size are decoded first;
the boxes are the stored ones. The bare call is `EfficientNetLite0.maps` on tensors that are ready,
one photograph a call; the package's is the module that the weights were published with, here with
random ones. All are measured in turn on each photograph, so that other work on the machine slows
all alike.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet

from graphmatch.regions.base import Photo, Regions
from graphmatch.regions.describe import load_lite0_describer
from graphmatch.regions.efficientnet import load_efficientnet_lite0, packaged_weights
from graphmatch.regions.photo import decode_photo
from graphmatch.regions.resize import stretch

Item = tuple[Photo, Regions]


def main() -> None:
    """Print the agreement of the features and a table of times."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("data", type=Path)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--threads", type=int, default=1)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    items = list(read_items(chosen.data))
    describer = load_lite0_describer(packaged_weights(), chosen.data / "coco_regions" / "pca.npz")

    cosines = []
    for photo, regions in items:
        feature = describer.describe([photo], [regions])[0]
        cosines.append(torch.cosine_similarity(feature, regions.feature, dim=1))
    cosine = torch.cat(cosines)
    whole = torch.stack([one[-1] for one in cosines])
    print(f"{len(items)} photographs, {len(cosine)} regions, cosine with the stored features:")
    print(f"mean {cosine.mean():.6f}, least {cosine.min():.6f}, whole images {whole.min():.6f}\n")

    network = load_efficientnet_lite0(packaged_weights())
    package = EfficientNet.from_name("efficientnet-lite0").eval()
    seconds: dict[str, list[float]] = {}
    for _ in range(chosen.rounds):
        for photo, regions in items:
            image = stretch(photo.pixels, 416, 416)[None]
            ready = (image.float() - 127) / 128
            calls: dict[str, Callable[[], object]] = {
                "package's network": lambda ready=ready: package.extract_features(ready),
                "bare network": lambda image=image: network.maps(image),
                "stretch": lambda photo=photo: stretch(photo.pixels, 416, 416),
                "describe": lambda one=(photo, regions): describer.describe([one[0]], [one[1]]),
            }
            for name, call in calls.items():
                with torch.no_grad():
                    started = time.perf_counter()
                    call()
                    seconds.setdefault(name, []).append(time.perf_counter() - started)
    bare = float(np.median(seconds["bare network"]))
    print(f"{chosen.threads} threads, median of {chosen.rounds} rounds\n")
    print("| what | ms a photograph | rate, of the bare network's |")
    print("|---|--:|--:|")
    for name, times in seconds.items():
        median = float(np.median(times))
        print(f"| {name} | {median * 1e3:.1f} | {bare / median:.2f} |")


def read_items(data: Path) -> list[Item]:
    """Photographs of original size with their stored regions and features."""
    stored = {}
    for split in ("train", "val", "test"):
        with np.load(data / "coco_regions" / f"regions_{split}.npz") as archive:
            arrays = {name: archive[name] for name in archive.files}
        ends = np.cumsum(arrays["num_regions"].astype(np.int64))
        for number, image in enumerate(arrays["image_id"].tolist()):
            rows = slice(ends[number] - arrays["num_regions"][number], ends[number])
            stored[image] = {name: arrays[name][rows] for name in ("boxes", "score", "features")}
    items = []
    with (data / "coco_photos" / "photos.tsv").open() as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            if row["kind"] != "full":
                continue
            photo = decode_photo((data / "coco_photos" / row["file"]).read_bytes(), row["image_id"])
            found = {
                name: torch.from_numpy(array.astype(np.float32))
                for name, array in stored[int(row["image_id"])].items()
            }
            regions = Regions(
                size=photo.size,
                box=found["boxes"] / 2,  # half pixels
                label=torch.full((len(found["score"]),), -1),
                score=found["score"],
                feature=found["features"],
            )
            items.append((photo, regions))
    return items


if __name__ == "__main__":
    main()
