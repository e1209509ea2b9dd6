"""`evaluate_run`: trained matchers, one or an ensemble, on captions and images of two stores."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from graphmatch.bootstrap import RankPart, bootstrap_interval, paired_difference
from graphmatch.caption_set import CaptionSet
from graphmatch.errors import ConfigError
from graphmatch.evaluate import average_scores
from graphmatch.evaluation_report import EvaluationReport, Resampling, Source
from graphmatch.feature_store import FeatureStore
from graphmatch.model_scores import (
    Computing,
    LoadedMatcher,
    ModelScores,
    load_matchers,
    score_array,
)
from graphmatch.pair_set import PairSet
from graphmatch.protocol import Protocol, ProtocolPart
from graphmatch.ranks import ranks
from graphmatch.retrieval_report import RetrievalReport
from graphmatch.score_file import new_scores, open_scores
from graphmatch.store import GraphStore
from graphmatch.vocab import Vocabulary

SCORES_SUFFIX = ".npy"
"""A path with this suffix is a stored score matrix, any other one a checkpoint."""
_ROWS = 256  # of stored matrices that are averaged at a time


def evaluate_run(
    sources: Sequence[str | Path],
    captions: GraphStore,
    visuals: FeatureStore,
    *,
    protocol: Protocol | None = None,
    resampling: Resampling | None = None,
    against: Sequence[str | Path] = (),
    scores: str | Path | None = None,
    force: bool = False,
    computing: Computing | None = None,
) -> EvaluationReport:
    """Score captions with trained matchers and evaluate the scores.

    Memory: encoded items of a block (see `ModelScores`) and the score matrix of a gallery, which
    above 2 GB is mapped to a temporary file of 4 bytes a pair.

    Args:
        sources: checkpoints or runs of training, or score matrices that were stored (`.npy`); of
            several the mean of the scores is evaluated. Checkpoints may read different graphs of
            the captions and have different vocabularies.
        captions: graphs with owners.
        visuals: the images or videos that these name.
        protocol: which captions meet which gallery; everything at once if None.
        resampling: how intervals are made.
        against: sources of another model, or ensemble: the report has the difference to it.
        scores: file to write the whole score matrix to, [gallery, captions] `.npy`.
        force: overwrite `scores`.
        computing: numbers, device and threads.

    Returns:
        The report.

    Raises:
        CheckpointError: no checkpoint, or a damaged one.
        ConfigError: no caption has its image, sources that cover different pairs, scores of other
            stores, an impossible option.
        GraphError: a score that is not finite.
    """
    protocol, resampling = protocol or Protocol(), resampling or Resampling()
    computing = computing or Computing()
    if against and not resampling.resamples:
        raise ConfigError("expected resamples for a comparison (got 0)")
    first = _Scored(sources, captions, visuals, computing)
    pairs = first.pairs
    other = None  # loaded before anything is scored, as it may not fit
    if against:
        other = _Scored(against, captions, visuals, computing)
        _check_same(pairs, other.pairs, against[0])
    texts = _texts(captions, pairs) if protocol.name == "unique" else None
    parts = protocol.parts(pairs.owner, items=len(pairs.gallery), texts=texts)
    if scores is not None:
        first.store(scores, force=force)
    found = first.rank_parts(parts, ties=protocol.ties)
    report = EvaluationReport(
        retrieval=_retrieval(found, protocol),
        intervals={},
        protocol=protocol,
        resampling=resampling,
        sources=first.sources,
        captions=len(pairs),
        gallery=len(pairs.gallery),
        skipped=tuple(pairs.skipped),
        failed=_failed(pairs),
        dtype=computing.dtype,
        encoding=first.computed.encoding,
        scoring=first.computed.scoring,
    )
    if not resampling.resamples:
        return report
    resamples, level, seed = resampling.resamples, resampling.level, resampling.seed
    report = replace(
        report, intervals=bootstrap_interval(found, resamples=resamples, level=level, seed=seed)
    )
    if other is None:
        return report
    ranked = other.rank_parts(parts, ties=protocol.ties)
    difference = paired_difference(ranked, found, resamples=resamples, level=level, seed=seed)
    return replace(report, against=other.sources, difference=difference)


class _Scored:
    """Scores of some sources: computed by checkpoints, read from files."""

    def __init__(
        self,
        paths: Sequence[str | Path],
        captions: GraphStore,
        visuals: FeatureStore,
        computing: Computing,
    ) -> None:
        if not paths:
            raise ConfigError("expected a checkpoint, a run or a stored score matrix (got none)")
        files = [path for path in paths if Path(path).suffix == SCORES_SUFFIX]
        folders = [path for path in paths if path not in files]
        loaded = load_matchers(folders, visuals, device=computing.device)
        self.models = [(one.matcher, _pair_set(one, captions, visuals)) for one in loaded]
        for (_, pairs), one in zip(self.models, loaded, strict=True):
            _check_same(self.models[0][1], pairs, one.folder)
        self.pairs = self.models[0][1] if self.models else _stored_pairs(captions, visuals)
        self.sources = tuple(
            Source(folder=one.folder, model=one.name, digest=one.digest) for one in loaded
        )
        self.matrices: list[NDArray[Any]] = []
        for path in files:
            matrix, digests = open_scores(path, self.pairs)
            source = Source(folder=str(path), model=None, digest=", ".join(digests) or None)
            self.matrices.append(matrix)
            self.sources += (source,)
        self.computed = ModelScores(self.models, computing)

    def store(self, path: str | Path, *, force: bool) -> None:
        """Write the mean of all pairs to a file, and use that from now on."""
        everything = torch.arange(len(self.pairs.gallery)), torch.arange(len(self.pairs))
        digests = [str(source.digest) for source in self.sources]
        dtype = self.computed.array_dtype
        with new_scores(path, self.pairs, dtype=dtype, checkpoints=digests, force=force) as out:
            self._fill(out, *everything)
        self.matrices, self.models = [open_scores(path, self.pairs)[0]], []

    def rank_parts(self, parts: Sequence[ProtocolPart], *, ties: str) -> list[RankPart]:
        """Ranks of each gallery, with the item of each caption."""
        found = []
        for part in parts:
            shape = len(part.items), len(part.captions)
            with ExitStack() as stack:
                whole = (len(self.pairs.gallery), len(self.pairs))
                if shape == whole and not self.models and len(self.matrices) == 1:
                    out = self.matrices[0]  # as it lies on the disk
                else:
                    out = stack.enter_context(score_array(shape, self.computed.array_dtype))
                    self._fill(out, part.items, part.captions)
                found.append((ranks(out, part.relevant, ties=ties), part.owner))
        return found

    def _fill(self, out: NDArray[Any], items: torch.Tensor, captions: torch.Tensor) -> None:
        if self.models:
            self.computed.fill(out, items, captions)
        for start in range(0, len(items) if self.matrices else 0, _ROWS):
            rows = items[start : start + _ROWS].numpy()[:, None]
            block = out[start : start + _ROWS]
            parts = [matrix[rows, captions.numpy()] for matrix in self.matrices]
            parts = [block] * len(self.models) + parts  # the mean counts once for each model
            block[...] = average_scores(parts).numpy()


def _pair_set(loaded: LoadedMatcher, captions: GraphStore, visuals: FeatureStore) -> PairSet:
    read = CaptionSet.for_matcher(captions, loaded.vocabulary, loaded.matcher)
    return PairSet(read, visuals)


def _stored_pairs(captions: GraphStore, visuals: FeatureStore) -> PairSet:
    """The pairs of a stored matrix: which words they hold does not matter."""
    kind: Any = "roles" if captions.manifest["job"].get("graph") == "roles" else "dependencies"
    return PairSet(CaptionSet(captions, Vocabulary(("<unk>",), "<unk>"), graph=kind), visuals)


def _check_same(first: PairSet, other: PairSet, source: str | Path) -> None:
    if first.text_ids == other.text_ids and first.visual_ids == other.visual_ids:
        return
    apart = set(first.text_ids) ^ set(other.text_ids)
    reasons = {**dict(first.skipped), **dict(other.skipped)}
    shown = "; ".join(f"caption {key}: {reasons.get(key)}" for key in sorted(apart)[:2])
    raise ConfigError(
        f"{source}: expected the {len(first):,} captions that the first model reads (got "
        f"{len(other):,}; {shown}); parse the captions with --graph both"
    )


def _texts(captions: GraphStore, pairs: PairSet) -> list[str]:
    texts: dict[str, str] = {}
    for row in captions:
        if row.error is None:
            texts.setdefault(row.id, row.text)
    return [texts[key] for key in pairs.text_ids]


def _failed(pairs: PairSet) -> int:
    bad = {key for key, _ in pairs.visuals.failures}
    return len(pairs.captions.failures) + sum(owner in bad for owner in pairs.captions.owners)


def _retrieval(found: Sequence[RankPart], protocol: Protocol) -> RetrievalReport:
    reports = [
        RetrievalReport.from_ranks(part, ties=protocol.ties, median=protocol.median)
        for part, _ in found
    ]
    return RetrievalReport.mean(reports)
