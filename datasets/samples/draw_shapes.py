"""Draws `shapes/`: scenes of two shapes, their boxes and their captions.

python datasets/samples/draw_shapes.py

A world small enough to train on in seconds: what a scene's captions say of the shapes' places
is all that tells it from another scene with the same shapes.
"""

from __future__ import annotations

import json
import random
from itertools import product
from pathlib import Path

from PIL import Image, ImageDraw

FOLDER = Path(__file__).parent / "shapes"
WIDTH, HEIGHT, TRAIN = 160, 120, 48
COLOURS = {"red": (200, 40, 40), "blue": (40, 80, 200), "green": (30, 150, 60)}
SHAPES = ("circle", "square", "triangle")
BACKGROUNDS = ((238, 236, 228), (226, 234, 240), (235, 226, 236))


def main() -> None:
    """Write the scenes, `boxes.json`, `train.jsonl` and `validation.jsonl`."""
    FOLDER.mkdir(exist_ok=True)
    rng = random.Random(4)  # noqa: S311  # pictures, not secrets
    things = list(product(COLOURS, SHAPES))
    scenes = [
        (one, other, place)
        for one, other in product(things, things)
        if one < other
        for place in ("left", "above")
    ]
    rng.shuffle(scenes)
    images, boxes, captions = [], [], []
    for number, (one, other, place) in enumerate(scenes[: TRAIN + 16], 1):
        if rng.random() < 0.5:
            one, other = other, one
        name = f"{number:02}"
        picture, drawn = draw(one, other, place, rng)
        picture.save(FOLDER / f"{name}.png", optimize=True)
        images.append({"id": number, "file_name": f"{name}.png", "width": WIDTH, "height": HEIGHT})
        for thing, (x1, y1, x2, y2) in zip((one, other), drawn, strict=True):
            boxes.append(
                {
                    "id": len(boxes) + 1,
                    "image_id": number,
                    "category_id": SHAPES.index(thing[1]) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                }
            )
        captions.append([(name, text) for text in describe(one, other, place)])
    names = [{"id": place, "name": name} for place, name in enumerate(SHAPES, 1)]
    write_json("boxes.json", {"images": images, "annotations": boxes, "categories": names})
    write_captions("train.jsonl", captions[:TRAIN])
    write_captions("validation.jsonl", captions[TRAIN:])


def draw(
    one: tuple[str, str], other: tuple[str, str], place: str, rng: random.Random
) -> tuple[Image.Image, list[tuple[int, int, int, int]]]:
    """A scene, and the boxes of its two shapes."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), rng.choice(BACKGROUNDS))
    pen = ImageDraw.Draw(picture)
    boxes = []
    for which, (colour, shape) in enumerate((one, other)):
        side = rng.randint(30, 42)
        if place == "left":
            x, y = (rng.randint(8, 28), rng.randint(95, 110))[which], rng.randint(20, 60)
        else:
            x, y = rng.randint(30, 80), (rng.randint(6, 14), rng.randint(66, 74))[which]
        box = x, y, x + side, y + side
        outline = [(x, y + side), (x + side // 2, y), (x + side, y + side)]
        if shape == "circle":
            pen.ellipse(box, fill=COLOURS[colour])
        elif shape == "square":
            pen.rectangle(box, fill=COLOURS[colour])
        else:
            pen.polygon(outline, fill=COLOURS[colour])
        boxes.append(box)
    return picture, boxes


def describe(one: tuple[str, str], other: tuple[str, str], place: str) -> list[str]:
    """Two captions of a scene, one from either side."""
    first, second = (" ".join(thing) for thing in (one, other))
    if place == "left":
        return [
            f"A {first} is on the left of a {second}.",
            f"A {second} stands to the right of a {first}.",
        ]
    return [f"A {first} is above a {second}.", f"A {second} lies below a {first}."]


def write_captions(name: str, scenes: list[list[tuple[str, str]]]) -> None:
    """A caption a line, with its own id and that of its image."""
    lines = [
        json.dumps({"id": f"{owner}#{number}", "image": owner, "caption": text})
        for scene in scenes
        for number, (owner, text) in enumerate(scene)
    ]
    (FOLDER / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_json(name: str, content: object) -> None:
    """A JSON file."""
    (FOLDER / name).write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    main()
