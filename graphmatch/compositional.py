"""`compositional_report`: what matchers get right beyond retrieval.

| name | data | question |
|---|---|---|
| `sugarcrepe` | SugarCrepe | is the true caption preferred to one with a wrong detail? |
| `vsr` | Visual Spatial Reasoning | do true statements score above false ones? |
| `cxc` | Crisscrossed Captions | do scores rank pairs as people do? |
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from graphmatch.caption_scorer import CaptionScorer, Named
from graphmatch.datasets.captions import Caption
from graphmatch.datasets.cxc import Rating, read_cxc
from graphmatch.datasets.sugarcrepe import read_sugarcrepe
from graphmatch.datasets.vsr import read_vsr
from graphmatch.errors import ConfigError, GraphError, check_choice
from graphmatch.evaluation_report import Source
from graphmatch.feature_store import FeatureStore
from graphmatch.hard_negatives import MATCHER, HardNegativeReport, hard_negative_report
from graphmatch.model_scores import Computing, LoadedMatcher
from graphmatch.parse_job import caption_rows
from graphmatch.parsers.base import Parser
from graphmatch.parsers.roles import RoleMode
from graphmatch.rows import CaptionRow
from graphmatch.similarity import SimilarityReport, SimilarityRow, similarity_row
from graphmatch.statements import StatementReport, statement_report
from graphmatch.text_baselines import Unigram, shortness

BENCHMARKS = ("sugarcrepe", "vsr", "cxc")
"""Names of the benchmarks."""
_PARSED = 512  # captions at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositionalReport:
    """What was found with each benchmark; None for those that were not asked for.

    Args:
        sources: the checkpoints whose mean score was looked at.
        sugarcrepe: hard negatives.
        vsr: statements about relations in space.
        cxc: human similarity.
    """

    sources: tuple[Source, ...]
    sugarcrepe: HardNegativeReport | None = None
    vsr: StatementReport | None = None
    cxc: SimilarityReport | None = None

    def content(self) -> dict[str, Any]:
        """The reports as plain values, for JSON.

        Returns:
            A value for each benchmark, None for those that were not asked for.
        """
        found = {name: getattr(self, name) for name in BENCHMARKS}
        return {name: None if one is None else one.content() for name, one in found.items()}

    def to_json(self) -> str:
        """The reports as a JSON object.

        Returns:
            Text.
        """
        return json.dumps(self.content(), ensure_ascii=False, indent=1, allow_nan=False) + "\n"

    def __str__(self) -> str:
        found = [(name, getattr(self, name)) for name in BENCHMARKS]
        return "\n\n".join(f"{name}\n{one}" for name, one in found if one is not None)


def compositional_report(
    models: Sequence[LoadedMatcher],
    visuals: FeatureStore,
    files: Mapping[str, str | Path | Sequence[str | Path]],
    *,
    parser: Parser,
    mode: RoleMode = "augmented",
    captions: Iterable[CaptionRow] | None = None,
    language: Iterable[Sequence[str]] | None = None,
    computing: Computing | None = None,
    seed: int = 0,
) -> CompositionalReport:
    """Score benchmarks of composition with trained matchers, and with texts alone.

    Captions of SugarCrepe and VSR are parsed here. What cannot be used is left out and counted by
    its reason: items whose image is not in the store, captions without a graph.

    Args:
        models: matchers; the mean of their scores is looked at.
        visuals: regions or clips of the images, see `CaptionScorer` on their ids.
        files: files of each benchmark, by the names of `BENCHMARKS`.
        parser: makes a `Parse` of a caption; that of the training captions.
        mode: how role graphs are made.
        captions: COCO's captions by their ids, for `"cxc"`, such as a `GraphStore`.
        language: words of each training caption, for the language baseline; without them there is
            none.
        computing: numbers and threads.
        seed: of resamples, folds and samples.

    Returns:
        The report.

    Raises:
        ConfigError: an unknown benchmark, no model, `"cxc"` without captions.
        FormatError: a file that is missing or something else.
        GraphError: not one item can be scored, a score that is not finite.
    """
    for name in files:
        check_choice("benchmark", name, BENCHMARKS)
    if not models:
        raise ConfigError("expected a checkpoint (got none): scores of benchmarks are not stored")
    unigram = Unigram(language) if language is not None else None
    bench = _Bench(models, visuals, parser, mode, computing or Computing(), unigram)
    return CompositionalReport(
        sources=tuple(Source(folder=m.folder, model=m.name, digest=m.digest) for m in models),
        sugarcrepe=bench.hard_negatives(files["sugarcrepe"]) if "sugarcrepe" in files else None,
        vsr=bench.statements(files["vsr"], seed) if "vsr" in files else None,
        cxc=bench.similarity(files["cxc"], captions, seed) if "cxc" in files else None,
    )


@dataclass(frozen=True, slots=True)
class _Bench:
    models: Sequence[LoadedMatcher]
    visuals: FeatureStore
    parser: Parser
    mode: RoleMode
    computing: Computing
    unigram: Unigram | None

    def hard_negatives(self, files: Any) -> HardNegativeReport:
        """SugarCrepe's items."""
        items = read_sugarcrepe(files)
        rows = self._parse([text for item in items for text in (item.caption, item.negative)])
        scorer = CaptionScorer(self.models, list(rows.values()), self.visuals, self.computing)
        good, skipped = _usable(
            items,
            lambda item: (
                scorer.image_problem(item.image)
                or scorer.caption_problem(item.caption)
                or scorer.caption_problem(item.negative)
            ),
        )
        if not good:
            raise _none("SugarCrepe", skipped)
        pairs: list[Named] = [
            (text, item.image) for item in good for text in (item.caption, item.negative)
        ]
        scores = {MATCHER: scorer.scores(pairs).reshape(-1, 2)}
        for name, values in self._baselines([rows[text] for text, _ in pairs]).items():
            scores[name] = values.reshape(-1, 2)
        categories = [item.category for item in good]
        return hard_negative_report(categories, scores, skipped=skipped)

    def statements(self, path: Any, seed: int) -> StatementReport:
        """VSR's statements."""
        items = read_vsr(path)
        rows = self._parse([item.text for item in items])
        scorer = CaptionScorer(self.models, list(rows.values()), self.visuals, self.computing)
        good, skipped = _usable(
            items,
            lambda item: scorer.image_problem(item.image) or scorer.caption_problem(item.text),
        )
        if not good:
            raise _none("VSR", skipped)
        scores = {MATCHER: scorer.scores([(item.text, item.image) for item in good])}
        scores |= self._baselines([rows[item.text] for item in good])
        return statement_report(
            scores,
            [item.true for item in good],
            [item.image for item in good],
            [item.relation for item in good],
            skipped=skipped,
            seed=seed,
        )

    def similarity(
        self, files: Any, captions: Iterable[CaptionRow] | None, seed: int
    ) -> SimilarityReport:
        """CxC's ratings."""
        if captions is None:
            raise ConfigError("expected captions with COCO's ids for benchmark 'cxc' (--captions)")
        ratings = read_cxc(files)
        wanted = {key for one in ratings for key in (one.a, one.b) if one.kind != "sis"}
        chosen = [row for row in captions if row.id in wanted]
        scorer = CaptionScorer(self.models, chosen, self.visuals, self.computing)
        good, skipped = _usable(ratings, lambda one: _rating_problem(scorer, one))
        rows: dict[str, SimilarityRow] = {}
        for kind in ("sits", "sts", "sis"):
            some = [one for one in good if one.kind == kind]
            if len({one.a for one in some}) < 2:
                continue
            pairs = [(one.a, one.b) for one in some]
            if kind == "sits":
                values: NDArray[np.float64] | None = scorer.scores(pairs)
            else:
                values = scorer.cosines(pairs, images=kind == "sis")
            if values is None:
                skipped["the matcher has no pooled vectors"] += len(some)
                continue
            people = np.array([one.score for one in some])
            rows[kind] = similarity_row([one.a for one in some], people, values, seed=seed)
        if not rows:
            raise _none("CxC", skipped)
        return SimilarityReport(rows=rows, skipped=dict(skipped))

    def _parse(self, texts: Sequence[str]) -> dict[str, CaptionRow]:
        """A row for each different text, whose id is the text."""
        unique = [text for text in dict.fromkeys(texts) if text.strip()]
        rows: dict[str, CaptionRow] = {}
        off = None if self.computing.progress else True
        with tqdm(total=len(unique), unit=" captions", unit_scale=True, disable=off) as bar:
            for start in range(0, len(unique), _PARSED):
                part = [Caption(id=text, text=text) for text in unique[start : start + _PARSED]]
                for row in caption_rows(part, parser=self.parser, mode=self.mode):
                    rows[row.id] = row
                bar.update(len(part))
        return rows

    def _baselines(self, rows: Sequence[CaptionRow]) -> dict[str, NDArray[np.float64]]:
        words = [row.parse.words if row.parse is not None else [] for row in rows]
        found = {"shorter caption": np.array([shortness(one) for one in words])}
        if self.unigram is not None:
            found["unigram"] = np.array([self.unigram.score(one) for one in words])
        return found


def _usable(items: Sequence[Any], problem: Callable[[Any], str | None]) -> tuple[Any, Counter[str]]:
    """Items that can be scored, and how many cannot by reason."""
    good, skipped = [], Counter[str]()
    for item in items:
        reason = item.error or problem(item)
        if reason is None:
            good.append(item)
        else:
            skipped[reason] += 1
    return good, skipped


def _rating_problem(scorer: CaptionScorer, one: Rating) -> str | None:
    first = scorer.image_problem if one.kind == "sis" else scorer.caption_problem
    second = scorer.caption_problem if one.kind == "sts" else scorer.image_problem
    return first(one.a) or second(one.b)


def _none(name: str, skipped: Counter[str]) -> GraphError:
    reasons = "; ".join(f"{count:,}: {reason}" for reason, count in skipped.most_common(3))
    return GraphError(f"expected items of {name} that can be scored (got none; {reasons})")
