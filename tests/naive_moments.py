"""Moments in plain Python loops, one query after the other: what the vectorised code must equal."""

from __future__ import annotations

import math


def decode(points, *, fused, threshold=0.05, candidates=32, scale=32.0):
    """(start, end, score, level) of points (level, location, p, iou, left, right) of one query."""
    found = []
    for level in sorted({point[0] for point in points}):
        chosen = []
        for number, (own, location, p, iou, left, right) in enumerate(points):
            if own == level and p > threshold:
                score = p * iou if fused else p
                chosen.append((score, number, location, left, right))
        best = sorted(chosen, key=lambda one: (-one[0], one[1]))[:candidates]
        for score, _, location, left, right in sorted(best, key=lambda one: one[1]):
            ends = ((location - left) / scale, (location + right) / scale)
            start, end = (min(max(x, 0.0), 1.0) for x in ends)
            found.append((start, end, math.sqrt(score), level))
    return found or [(0.0, 1.0, 1.0, -1)]


def overlap(one, other):
    """IoU as the suppression computes it."""
    common = max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
    union = (one[1] - one[0]) + (other[1] - other[0]) - common
    return common / union if union > 0 else 0.0


def iou(one, other):
    """IoU as the metric computes it; negative for segments that are apart."""
    common = min(one[1], other[1]) - max(one[0], other[0])
    hull = max(one[1], other[1]) - min(one[0], other[0])
    return common / hull if hull > 0 else 0.0


def by_score(moments):
    """Numbers of (start, end, score), best first; equal scores keep their order."""
    return sorted(range(len(moments)), key=lambda number: -moments[number][2])


def nms(moments, threshold, *, last=True):
    """Numbers of the moments that stay, best first."""
    left = by_score(moments)
    picks = []
    while left:
        best = max(moments[number][2] for number in left)
        equal = [number for number in left if moments[number][2] == best]
        pick = max(equal) if last else min(equal)
        picks.append(pick)
        left = [
            number
            for number in left
            if number != pick and overlap(moments[number], moments[pick]) <= threshold
        ]
    return picks


def soft_nms(moments, *, top=6, spread=0.4, low=0.5, high=0.9):
    """Numbers in the order in which they are taken, and their scores then."""
    scores = {number: moment[2] for number, moment in enumerate(moments)}
    taken = []
    while scores and len(taken) < top:
        pick = max(scores, key=lambda number: (scores[number], -number))
        taken.append((pick, scores.pop(pick)))
        width = moments[pick][1] - moments[pick][0]
        for number in scores:
            share = overlap(moments[number], moments[pick])
            if share > low + (high - low) * width:
                scores[number] *= math.exp(-(share**2) / spread)
    return taken


def recall(queries, truths, n, level, *, suppress=True, margin=0.05):
    """R@n, IoU=level."""
    found = 0
    for moments, truth in zip(queries, truths, strict=True):
        picks = nms(moments, level - margin) if suppress else by_score(moments)
        found += any(iou(moments[number], truth) >= level for number in picks[:n])
    return found / len(queries)


def mean_iou(queries, truths):
    """Mean over queries of the IoU of the best-scored moment."""
    total = 0.0
    for moments, truth in zip(queries, truths, strict=True):
        if moments:
            total += max(0.0, iou(moments[by_score(moments)[0]], truth))
    return total / len(queries)
