"""Explanations made by hand."""

from __future__ import annotations

import numpy as np

from graphmatch.explanation import Explanation, NodeMatch

WORDS = ("<start>", "a", "man", "rides", "a", "horse", ".", "<end>")
CONTRIBUTION = (0.0, 0.01, 0.30, 0.12, -0.02, 0.25, 0.40, 0.0)
BEST = (0, 0, 0, 1, 1, 1, 2, 2)  # the region that each word matches


def match(best, contribution, regions):
    attention = np.full((len(best), regions), 0.2 / max(regions - 1, 1))
    attention[np.arange(len(best)), best] = 0.8 if regions > 1 else 1.0
    contribution = np.array(contribution)
    return NodeMatch(
        attention=attention,
        similarity=np.linspace(0.1, 0.9, len(best)),
        contribution=contribution,
        pairs=attention * contribution[:, None],
        steps=attention[None],
    )


def of_image(words=WORDS, regions=("man", "horse", "whole image"), **changes):
    columns = {
        "model": "SCAN",
        "score": sum(CONTRIBUTION),
        "words": words,
        "nodes": words,
        "kinds": ("word",) * len(words),
        "spans": tuple((place,) for place in range(len(words))),
        "regions": regions,
        "box": np.array([[10.0, 20, 50, 60], [90, 50, 150, 110], [0, 0, 160, 120]]),
        "size": (160, 120),
        "text": match(BEST, CONTRIBUTION, 3),
        "visual": None,
    }
    return Explanation(**{**columns, **changes})


def of_video(clips=4, seconds=8.0):
    nodes = ("a man rides a horse", "rides", "a man", "a horse")
    step = seconds / clips
    time = np.array([[step * clip, step * (clip + 1)] for clip in range(clips)])
    return Explanation(
        model="HGR",
        score=0.6,
        words=("a", "man", "rides", "a", "horse"),
        nodes=nodes,
        kinds=("event", "action", "entity", "entity"),
        spans=((0, 1, 2, 3, 4), (2,), (0, 1), (3, 4)),
        regions=tuple(f"{start:.1f} to {end:.1f} s" for start, end in time),
        time=time,
        duration=seconds,
        text=match((0, 1, 2, 3), (0.2, 0.2, 0.1, 0.1), clips),
        visual=None,
    )
