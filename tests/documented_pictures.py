"""The pictures of the documents: a drawn scene and a photograph as region graphs, a video as clips.

`python tests/documented_pictures.py docs/images picodet_s_416_coco.onnx` writes them anew; without
the detector's file all but the photograph.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import av
import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw

from graphmatch.canvas import Canvas, save_canvases
from graphmatch.clip_picture import clip_picture
from graphmatch.clips.describe import describe_video
from graphmatch.clips.sampling import Sampling
from graphmatch.clips.video import frames_at
from graphmatch.datasets.boxes import BoxAnnotations, ImageBoxes
from graphmatch.region_job import RegionChoice
from graphmatch.region_picture import region_picture
from graphmatch.regions.annotated import AnnotatedDetector
from graphmatch.regions.base import Photo
from graphmatch.regions.describe import with_whole_image
from graphmatch.regions.photo import decode_photo
from graphmatch.regions.picodet import picodet
from graphmatch.regions.resize import stretch

SIZE = (720, 420)
FINE = 3  # drawn larger, then reduced: smooth borders
LABELS = ("sun", "house", "door", "tree", "person", "ball", "dog", "kite")
BOXES = (
    ("sun", (40, 32, 110, 102)),
    ("house", (110, 130, 290, 320)),
    ("door", (180, 240, 220, 320)),
    ("tree", (575, 105, 695, 330)),
    ("person", (388, 210, 436, 350)),
    ("ball", (312, 328, 346, 362)),
    ("dog", (472, 296, 562, 360)),
    ("kite", (478, 40, 542, 124)),
)
BEST = ("person", "dog", "kite", "house", "tree", "ball", "door", "sun")


def main(folder: str, *models: str) -> None:
    canvases = {"regions": scene_picture(), "clips": video_picture()}
    for model in models:
        canvases["photograph"] = photograph_picture(model)
    for name, canvas in canvases.items():
        save_canvases(Path(folder) / f"{name}.png", [canvas], force=True)


def scene_picture() -> Canvas:
    """The region graph of the scene with its annotated boxes."""
    image = ImageBoxes(
        id="park",
        size=SIZE,
        box=np.array([dict(BOXES)[name] for name in BEST], np.float32),
        label=np.array([LABELS.index(name) for name in BEST]),
        ignored=np.zeros(len(BOXES), bool),
    )
    detector = AnnotatedDetector(BoxAnnotations(labels=LABELS, images={"park": image}))
    photo = Photo(id="park", pixels=draw_scene(), size=SIZE)
    regions = with_whole_image(detector.detect([photo])[0])
    return region_picture(photo, regions, labels=LABELS, edges=9)


def draw_scene(step: float = 0.0):
    """A park; with `step` from 0 to 1 the dog runs to the left and the ball jumps."""
    image = Image.new("RGB", (SIZE[0] * FINE, SIZE[1] * FINE), "#bfe0f2")
    pen = ImageDraw.Draw(image)

    def at(*numbers):
        return [number * FINE for number in numbers]

    pen.rectangle(at(0, 300, 720, 420), fill="#8fbf6a")
    pen.polygon(at(0, 420, 0, 390, 330, 336, 720, 372, 720, 420), fill="#d8c9a3")
    for x, y in ((250, 60), (345, 96), (640, 48)):
        for left, top, wide in ((0, 0, 66), (18, -16, 40), (34, -4, 58)):
            pen.ellipse(at(x + left, y + top, x + left + wide, y + top + 30), fill="#ffffff")
    pen.ellipse(at(42, 34, 108, 100), fill="#f7c843")
    pen.rectangle(at(125, 200, 275, 320), fill="#e5d3b8")
    pen.polygon(at(112, 202, 200, 132, 288, 202), fill="#a8503c")
    pen.rectangle(at(181, 241, 219, 320), fill="#6d4b32")
    for x in (140, 234):
        pen.rectangle(at(x, 224, x + 26, 252), fill="#9ecbe4", outline="#6d4b32", width=FINE * 2)
    pen.rectangle(at(624, 240, 648, 330), fill="#6d4b32")
    for box in ((576, 140, 660, 230), (610, 150, 694, 245), (592, 106, 678, 200)):
        pen.ellipse(at(*box), fill="#4d8f4a")
    pen.line(at(430, 256, 510, 84), fill="#5a5a5a", width=FINE)
    pen.polygon(at(510, 42, 540, 74, 510, 122, 480, 74), fill="#c8427a")
    pen.line(at(510, 42, 510, 122), fill="#f6d6e4", width=FINE)
    pen.line(at(480, 74, 540, 74), fill="#f6d6e4", width=FINE)
    pen.rectangle(at(398, 290, 411, 350), fill="#35507a")
    pen.rectangle(at(414, 290, 427, 350), fill="#35507a")
    pen.rounded_rectangle(at(394, 238, 431, 298), FINE * 8, fill="#d9663b")
    pen.line(at(428, 250, 433, 258), fill="#d9663b", width=FINE * 8)
    pen.ellipse(at(399, 211, 427, 240), fill="#e9bf9a")
    pen.pieslice(at(398, 210, 428, 238), 180, 360, fill="#4a3324")
    jump = 120 * step * (1 - step)
    pen.ellipse(at(313, 329 - jump, 345, 361 - jump), fill="#d23f3f")
    pen.arc(at(321, 329 - jump, 337, 361 - jump), 90, 270, fill="#ffffff", width=FINE * 2)
    run = -110 * step
    pen.rounded_rectangle(at(492 + run, 316, 546 + run, 338), FINE * 9, fill="#8a5a33")
    for x in (496, 508, 530, 539):
        pen.rectangle(at(x + run, 330, x + 6 + run, 360), fill="#8a5a33")
    pen.ellipse(at(474 + run, 300, 506 + run, 328), fill="#8a5a33")
    pen.polygon(at(484 + run, 306, 490 + run, 296, 498 + run, 306), fill="#5d3a1e")
    pen.ellipse(at(480 + run, 309, 484 + run, 313), fill="#1b1f23")
    pen.line(at(544 + run, 320, 561 + run, 303), fill="#8a5a33", width=FINE * 5)
    return np.asarray(image.resize(SIZE, Image.Resampling.BOX))


def photograph_picture(model) -> Canvas:
    """What PicoDet finds in the portrait of Grace Hopper that matplotlib brings (public domain)."""
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    photo = decode_photo(path.read_bytes(), "grace_hopper")
    small = stretch(photo.pixels, 320, 375).permute(1, 2, 0).numpy()
    photo = Photo(id=photo.id, pixels=small, size=(320, 375))
    detector = picodet(model, least_score=0.3, threads=1)
    return region_picture(
        photo, RegionChoice()(detector.detect([photo])[0]), labels=detector.labels
    )


class Colours:
    """A backbone without weights: the mean colours of a grid of 4 x 4 cells."""

    name, version, side, channels = "colours", "1", 32, (3,)
    device = torch.device("cpu")

    def maps(self, images):
        return [torch.nn.functional.avg_pool2d(images.float(), 8)]


def video_picture() -> Canvas:
    """Frames and clips of a video of the scene, 5 s at 12 frames a second."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "park.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=12)
            stream.width, stream.height = SIZE
            for number in range(60):
                frame = av.VideoFrame.from_ndarray(draw_scene(number / 59), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        graph = describe_video(path, backbone=Colours(), sampling=Sampling(seconds=0.8)).clips()
        times = [0.5, 1.8, 3.1, 4.5]
        frames = frames_at(path, times)
    return clip_picture("park", frames, times=times, graph=graph)


if __name__ == "__main__":
    main(*sys.argv[1:])
