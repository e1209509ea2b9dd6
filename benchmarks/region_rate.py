"""Precision, rate and memory of `graphmatch regions` on photographs, against the bare networks.

python benchmarks/region_rate.py DATA [--photos 795] [--rounds 3]

DATA holds `coco_photos`, `coco_val2017` and `detector_picodet`. Bare calls are those of onnxruntime
and of the backbone alone, on photographs that are decoded, stretched and normalised
before the clock starts; the pipeline reads, decodes, detects, describes and writes its store. Both
use the same number of threads a network and take turns on parts of the photographs, so that a
machine whose speed drifts slows both. Memory is the peak of a whole process of the command.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from detector_ap import ALLOWED, MODEL, BareRecipe, average_precision, read_photos

from graphmatch.feature_store import FeatureStore
from graphmatch.region_job import RegionChoice, extract_regions
from graphmatch.regions.describe import load_lite0_describer
from graphmatch.regions.efficientnet import load_efficientnet_lite0, packaged_weights
from graphmatch.regions.onnx_detector import OnnxInput
from graphmatch.regions.photo import decode_photo
from graphmatch.regions.photo_sources import read_sources
from graphmatch.regions.picodet import picodet
from graphmatch.regions.resize import stretch

EVERYTHING = RegionChoice(top=100, overlap=None, whole_image=False)
INPUT = OnnxInput(width=416, height=416, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
PART = 53  # photographs between two turns


def main() -> None:
    """Print Markdown; exit 1 if precision is off."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("data", type=Path)
    options.add_argument("--photos", type=int, default=795)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    rows = read_photos(chosen.data, chosen.photos)
    files = [chosen.data / "coco_photos" / row["file"] for row in rows]
    print(f"{len(files)} photographs, {os.cpu_count()} cores\n")
    fits = precision(chosen.data, rows, files)
    print("\n| round | threads a network | bare, photos/s | pipeline, photos/s | of bare |")
    print("|--:|--:|--:|--:|--:|")
    for number in range(1, chosen.rounds + 1):
        for threads in (1, os.cpu_count() or 1):
            bare, ours = rates(chosen.data / MODEL, files, threads)
            print(
                f"| {number} | {threads} | {bare:.1f} | {ours:.1f} | {ours / bare:.2f} |",
                flush=True,
            )
    print("\n| photographs | peak memory of `graphmatch regions`, MB |")
    print("|--:|--:|")
    for count in sorted({len(files) // 4, len(files)}):
        print(f"| {count} | {peak_memory(chosen.data / MODEL, files[:count]):.0f} |", flush=True)
    sys.exit(not fits)


def precision(data: Path, rows: list[dict[str, str]], files: list[Path]) -> bool:
    """AP of the bare recipe and of what the pipeline stored."""
    bare = BareRecipe(data / MODEL)
    found = [bare.detect(file.read_bytes()) for file in files]
    with tempfile.TemporaryDirectory() as folder:
        detector = picodet(data / MODEL, threads=1)
        sources = read_sources(files)
        extract_regions(sources, folder, detector=detector, choice=EVERYTHING)
        store = FeatureStore(folder)
        ours = [
            tuple(np.array(store[file.stem].columns[name]) for name in ("box", "score", "label"))
            for file in files
        ]
    table = [average_precision(data, rows, boxes) for boxes in (found, ours)]
    print("| what | " + " | ".join(table[0]) + " |")
    print("|---|" + "--:|" * len(table[0]))
    for name, values in zip(("bare recipe", "`graphmatch regions`"), table, strict=True):
        print(f"| {name} | " + " | ".join(f"{value:.4f}" for value in values.values()) + " |")
    return abs(table[0]["AP"] - table[1]["AP"]) <= ALLOWED


def rates(model: Path, files: list[Path], threads: int) -> tuple[float, float]:
    """Photographs a second of the bare networks and of the pipeline."""
    torch.set_num_threads(threads)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, settings)
    network = load_efficientnet_lite0(packaged_weights())
    detector = picodet(model, threads=threads)
    describer = load_lite0_describer(packaged_weights())
    seconds = {"bare": 0.0, "ours": 0.0}
    for start in range(0, len(files), PART):
        part = files[start : start + PART]
        photos = [decode_photo(file.read_bytes(), file.stem) for file in part]
        images = [stretch(photo.pixels, 416, 416)[None].float() for photo in photos]
        inputs = [INPUT.prepare(photo)[None] for photo in photos]
        started = time.perf_counter()
        with torch.no_grad():
            for image, prepared in zip(images, inputs, strict=True):
                session.run(None, {session.get_inputs()[0].name: prepared})
                network.maps(image)
        seconds["bare"] += time.perf_counter() - started
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            report = extract_regions(
                read_sources(part), folder, detector=detector, describer=describer
            )
            seconds["ours"] += time.perf_counter() - started
        if report.failed or report.items != len(part):
            raise RuntimeError(f"expected {len(part)} photographs (got {report})")
    return len(files) / seconds["bare"], len(files) / seconds["ours"]


def peak_memory(model: Path, files: list[Path]) -> float:
    """Peak resident MB of the command, all of its process."""
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder) / "list.txt"
        names.write_text("".join(f"{file.resolve()}\n" for file in files))
        command = [sys.executable, "-m", "graphmatch.cli.main", "regions", str(names)]
        command += ["--detector", str(model), "--out", f"{folder}/store", "--threads", "1"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise RuntimeError(f"the command ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss / 1000


if __name__ == "__main__":
    main()
