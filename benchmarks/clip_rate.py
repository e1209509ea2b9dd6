"""Rate of `extract_clips` against the bare decoder and backbone on the same frames.

python benchmarks/clip_rate.py VIDEO [--copies 10] [--side 224] [--rounds 3]

Bare is PyAV's loop over every frame of the video, without pixels, and the backbone's calls on
images that are resized before the clock starts, in batches of the same size, one after the other.
The pipeline reads time stamps, decodes, converts and resizes the wanted frames, describes them and
writes a store. Both use one thread for the network and one for the decoder, which the pipeline runs
beside each other; they take turns.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import av
import torch

from graphmatch.clip_job import extract_clips
from graphmatch.clips.sampling import Sampling
from graphmatch.clips.video import probe_video, read_frames
from graphmatch.clips.video_sources import VideoSource
from graphmatch.regions.efficientnet import load_efficientnet_lite0, packaged_weights
from graphmatch.regions.resize import stretch

BATCH = 1  # what is fastest on a CPU, and the default there
SAMPLINGS = {
    "1 frame a second": Sampling(fps=1.0),
    "5 frames a second": Sampling(fps=5.0),
    "clips of 2 s of all frames": Sampling(seconds=2.0),
}


def main() -> None:
    """Print a Markdown table of rates and ratios."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("video", type=Path)
    options.add_argument("--copies", type=int, default=10)
    options.add_argument("--side", type=int, default=224)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    network = load_efficientnet_lite0(packaged_weights())
    video = probe_video(chosen.video)
    print(
        f"{chosen.copies} x {video.duration:.1f} s, {len(video.times)} frames of "
        f"{video.size[0]} x {video.size[1]}, {os.cpu_count()} cores\n"
    )
    print("| round | sampling | frames | bare, s | pipeline, s | rate, of bare |")
    print("|--:|---|--:|--:|--:|--:|")
    for number in range(1, chosen.rounds + 1):
        for name, sampling in SAMPLINGS.items():
            copies = chosen.copies if sampling.seconds is None else 1
            wanted = sampling.plan(video.times, video.duration).frame
            images = torch.stack(
                [
                    stretch(frame.pixels, chosen.side, chosen.side)
                    for frame in read_frames(video, wanted)
                ]
            )
            bare = sum(bare_seconds(chosen.video, network, images) for _ in range(copies))
            ours = our_seconds(chosen.video, network, sampling, copies=copies, side=chosen.side)
            print(
                f"| {number} | {name} | {copies * len(images)} | {bare:.2f} | {ours:.2f} | "
                f"{bare / ours:.2f} |",
                flush=True,
            )


def bare_seconds(path: Path, network: torch.nn.Module, images: torch.Tensor) -> float:
    """Seconds to decode a video and to run the network on images of it."""
    started = time.perf_counter()
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for _ in container.decode(video=0):
            pass
    with torch.inference_mode():
        for batch in images.split(BATCH):
            network.maps(batch)
    return time.perf_counter() - started


def our_seconds(
    path: Path, network: torch.nn.Module, sampling: Sampling, *, copies: int, side: int
) -> float:
    """Seconds of the whole pipeline."""
    sources = [VideoSource(id=str(number), path=path) for number in range(copies)]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        report = extract_clips(
            sources, folder, backbone=network, sampling=sampling, side=side, batch_size=BATCH
        )
        seconds = time.perf_counter() - started
    if report.failed or report.items != copies:
        raise RuntimeError(f"expected {copies} videos (got {report})")
    return seconds


if __name__ == "__main__":
    main()
