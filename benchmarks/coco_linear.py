"""The linear reference of the benchmark `coco.py`: canonical correlation of captions and images.

An image is one vector, a caption another. Regularised canonical correlation analysis (Hotelling
1936; Vinod 1976) finds directions in which the two correlate, in training pairs:

    C_x = cov(x) + r_x tr(cov(x)) / p I,  C_y alike        L L^T = C, Cholesky factors
    U S V^T = L_x^-1 cov(x, y) L_y^-T                      singular values: correlations
    score = cosine of x L_x^-T U S^power and y L_y^-T V S^power, the first k directions

r_x, r_y, k and power are those with the best rsum on the validation split.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from coco_stores import CLASSES, SPLITS, VISUAL, Stores
from numpy.typing import NDArray

from graphmatch.evaluate import evaluate_scores
from graphmatch.feature_store import FeatureStore
from graphmatch.retrieval_report import RetrievalReport
from graphmatch.store import GraphStore

Vectors = NDArray[np.float32]
RIDGES_X = RIDGES_Y = (0.1, 0.3, 1.0, 3.0)
KEPT = (64, 128, 200)
POWERS = (0.5, 1.0, 2.0)
_LEAST = 3  # captions that must have a word
_DIRECTIONS = 400  # of tf-idf vectors
_CELLS = 3  # of the grid of positions, along each side
_TEXTS = 64  # captions that a text encoder reads at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Images and captions of a split.

    Args:
        images: [n, p] one vector each.
        texts: m captions.
        owner: [m] image of each caption.
    """

    images: Vectors
    texts: list[str]
    owner: NDArray[np.int64]


def linear_references(stores: Stores, text_encoder: Path | None = None) -> dict[str, Any]:
    """Linear references with several kinds of text vectors.

    Args:
        stores: of the set.
        text_encoder: folder of a text encoder, if there is one.

    Returns:
        By kind, reports of val and test and what was chosen on val, values of JSON: `"tf-idf"`; and
        with a text encoder `"sentences"`, its mean word states, and `"both"` side by side.
    """
    splits = {name: read_split(stores, name) for name in SPLITS}
    kinds = {"tf-idf": tf_idf({name: split.texts for name, split in splits.items()})}
    if text_encoder is not None:
        encoded = {n: sentence_vectors(split.texts, text_encoder) for n, split in splits.items()}
        kinds["sentences"] = encoded
        pairs = {name: (kinds["tf-idf"][name], encoded[name]) for name in SPLITS}
        kinds["both"] = {name: np.concatenate(pair, axis=1) for name, pair in pairs.items()}
    return {kind: linear_reference(splits, vectors) for kind, vectors in kinds.items()}


def linear_reference(splits: Mapping[str, Split], vectors: Mapping[str, Vectors]) -> dict[str, Any]:
    """Fit on train, choose on val, and evaluate val and test.

    Args:
        splits: by name.
        vectors: [m, q] of the captions of each.

    Returns:
        Recalls of val and test, and the choices that were made; values of JSON.
    """
    train, val = splits["train"], splits["val"]
    best: tuple[float, Correlation, int, float] | None = None
    for found in correlations(train.images, vectors["train"], train.owner):
        for kept, power in product(KEPT, POWERS):
            scores = found.scores(val.images, vectors["val"], kept=kept, power=power)
            rsum = _report(scores, val.owner).rsum
            if best is None or rsum > best[0]:
                best = rsum, found, kept, power
    assert best is not None
    _, found, kept, power = best
    report: dict[str, Any] = {
        "chosen": {
            "ridge_x": found.ridge_x,
            "ridge_y": found.ridge_y,
            "kept": kept,
            "power": power,
        }
    }
    for name in ("val", "test"):
        scores = found.scores(splits[name].images, vectors[name], kept=kept, power=power)
        report[name] = recalls(_report(scores, splits[name].owner))
    return report


def recalls(report: RetrievalReport) -> dict[str, float]:
    """The six recalls and their sum, as `graphmatch.bootstrap.NUMBERS` names them."""
    ways = (("i2t", report.i2t), ("t2i", report.t2i))
    found = {
        f"{way}_{name}": getattr(one, name) for way, one in ways for name in ("r1", "r5", "r10")
    }
    return {**found, "rsum": report.rsum}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Correlation:
    """Directions in which images and captions correlate.

    Args:
        ridge_x: regularisation of images.
        ridge_y: of captions.
        mean_x: [p] mean of the images.
        mean_y: [q] mean of the captions.
        map_x: [p, k] directions of images.
        map_y: [q, k] directions of captions.
        value: [k] correlations, descending.
    """

    ridge_x: float
    ridge_y: float
    mean_x: Vectors
    mean_y: Vectors
    map_x: Vectors
    map_y: Vectors
    value: Vectors

    def scores(self, x: Vectors, y: Vectors, *, kept: int, power: float) -> Vectors:
        """[n, m] cosines of images [n, p] and captions [m, q] in the first directions."""
        weight = self.value[:kept] ** power
        left = _unit((x - self.mean_x) @ (self.map_x[:, :kept] * weight))
        right = _unit((y - self.mean_y) @ (self.map_y[:, :kept] * weight))
        found: Vectors = left @ right.T
        return found


def correlations(x: Vectors, y: Vectors, owner: NDArray[np.int64]) -> list[Correlation]:
    """Canonical correlations with every pair of `RIDGES_X` and `RIDGES_Y`.

    Args:
        x: [n, p] images.
        y: [m, q] captions.
        owner: [m] image of each caption.

    Returns:
        One fit for each pair.
    """
    times = np.bincount(owner, minlength=len(x)).astype(np.float32)[:, None]  # [n, 1]
    mean_x, mean_y = (x * times).sum(axis=0) / len(y), y.mean(axis=0)
    a, b = x - mean_x, y - mean_y
    sums = np.zeros_like(x, shape=(len(x), y.shape[1]))  # [n, q] sum of each image's captions
    np.add.at(sums, owner, b)
    cross = (a.T @ sums).astype(np.float64) / len(y)  # [p, q]
    factors_x = [_factor(a.T @ (a * times) / len(y), ridge) for ridge in RIDGES_X]
    factors_y = [_factor(b.T @ b / len(y), ridge) for ridge in RIDGES_Y]
    found = []
    for ridge_x, lower_x in zip(RIDGES_X, factors_x, strict=True):
        half = np.linalg.solve(lower_x, cross)  # [p, q]
        for ridge_y, lower_y in zip(RIDGES_Y, factors_y, strict=True):
            u, value, vt = np.linalg.svd(np.linalg.solve(lower_y, half.T).T, full_matrices=False)
            most = max(KEPT)
            one = Correlation(
                ridge_x=ridge_x,
                ridge_y=ridge_y,
                mean_x=mean_x,
                mean_y=mean_y,
                map_x=np.linalg.solve(lower_x.T, u[:, :most]).astype(np.float32),
                map_y=np.linalg.solve(lower_y.T, vt[:most].T).astype(np.float32),
                value=value[:most].astype(np.float32),
            )
            found.append(one)
    return found


def read_split(stores: Stores, name: str) -> Split:
    """Images as vectors, and captions."""
    store = FeatureStore(stores.visual(name))
    vector = detected_vector if stores.name == "regions" else annotated_vector
    images = np.stack([vector(record.columns) for record in store])
    rows = [row for row in GraphStore(stores.captions(name)) if row.error is None]
    owner = np.array([store.position(str(row.owner)) for row in rows])
    return Split(images=images, texts=[row.text for row in rows], owner=owner)


def detected_vector(columns: Mapping[str, Any]) -> Vectors:
    """[336] mean look of the regions by score, look of the whole image, twice their classes."""
    look, score, label = (columns[name] for name in ("feature", "score", "label"))
    look, weight = look[:, :VISUAL], score[:-1]  # the last region is the whole image
    mean = weight @ look[:-1] / max(float(weight.sum()), 1e-6)
    classes = np.bincount(label[:-1], weight, minlength=CLASSES)
    return np.concatenate([mean, look[-1], 2 * classes]).astype(np.float32)


def annotated_vector(columns: Mapping[str, Any]) -> Vectors:
    """[80 x 11] of each class: log count, share of the area, log counts in a 3 x 3 grid."""
    label, box, size = (columns[name] for name in ("label", "box", "size"))
    label, share = label[:-1], box[:-1] / np.tile(size, 2)
    area = np.sqrt((share[:, 2:] - share[:, :2]).prod(axis=1))
    centre = np.minimum((share[:, :2] + share[:, 2:]) / 2 * _CELLS, _CELLS - 1).astype(int)
    cell = (label * _CELLS + centre[:, 1]) * _CELLS + centre[:, 0]
    counts = np.bincount(label, minlength=CLASSES)
    areas = np.bincount(label, area, minlength=CLASSES)
    grid = np.bincount(cell, minlength=CLASSES * _CELLS**2)
    return np.concatenate([np.log1p(counts), areas, np.log1p(grid)]).astype(np.float32)


def tf_idf(texts: Mapping[str, Sequence[str]]) -> dict[str, Vectors]:
    """Unit tf-idf vectors in the main directions of those of `"train"`, [m, 400] of each split."""
    words = {
        name: [re.findall(r"[a-z]+", one.lower()) for one in some] for name, some in texts.items()
    }
    frequency = Counter(word for some in words["train"] for word in set(some))
    usual = [word for word, count in frequency.items() if count >= _LEAST]
    place = {word: number for number, word in enumerate(usual)}
    weight = [math.log(len(words["train"]) / frequency[word]) for word in usual]

    def vectors(captions: Sequence[Sequence[str]]) -> Vectors:
        found = np.zeros((len(captions), len(place)), np.float32)
        for row, caption in enumerate(captions):
            for word in caption:
                if word in place:
                    found[row, place[word]] += weight[place[word]]
        return _unit(found)

    full = {name: vectors(some) for name, some in words.items()}
    mean = full["train"].mean(axis=0)
    centred = full["train"] - mean
    _, directions = np.linalg.eigh(centred.T @ centred)  # ascending
    main = directions[:, : -_DIRECTIONS - 1 : -1]
    return {name: (some - mean) @ main for name, some in full.items()}


def sentence_vectors(texts: Sequence[str], folder: Path) -> Vectors:
    """Mean of a text encoder's word states, as unit vectors [m, q].

    Args:
        texts: m captions.
        folder: of a BERT-like encoder with its tokeniser, such as MiniLM.

    Returns:
        The vectors.
    """
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoder = AutoModel.from_pretrained(folder).eval()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    encoder.to(device)
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    found: list[Vectors] = []
    with torch.inference_mode():
        for start in range(0, len(order), _TEXTS):
            some = [texts[place] for place in order[start : start + _TEXTS]]
            batch = tokenizer(some, padding=True, truncation=True, return_tensors="pt").to(device)
            states = encoder(**batch).last_hidden_state  # [n, L, q]
            mask = batch["attention_mask"].unsqueeze(-1)
            found.append(((states * mask).sum(dim=1) / mask.sum(dim=1)).float().cpu().numpy())
    vectors = np.concatenate(found)
    back = np.empty_like(vectors)
    back[order] = vectors
    return _unit(back)


def _report(scores: Vectors, owner: NDArray[np.int64]) -> RetrievalReport:
    return evaluate_scores(torch.from_numpy(scores), torch.from_numpy(owner))


def _factor(covariance: NDArray[Any], ridge: float) -> NDArray[np.float64]:
    """Cholesky factor of a covariance with a multiple of the identity."""
    matrix = covariance.astype(np.float64)
    matrix += ridge * np.trace(matrix) / len(matrix) * np.eye(len(matrix))
    return np.linalg.cholesky(matrix)


def _unit(rows: Vectors) -> Vectors:
    found: Vectors = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return found
