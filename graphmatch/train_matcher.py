"""`MatcherTask`: the training of a matcher, for the loop in `graphmatch.train`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import nn

from graphmatch.config import config_values
from graphmatch.encode import encode_texts, encode_visuals
from graphmatch.evaluate import evaluate_scores
from graphmatch.gathered import BatchLoss
from graphmatch.models.matcher import Matcher
from graphmatch.models.table import model_name
from graphmatch.nn.piece_encoder import PieceEncoder
from graphmatch.pair_set import PairSet
from graphmatch.retrieval_report import RetrievalReport
from graphmatch.scoring import score_matrix
from graphmatch.train_batches import Batches
from graphmatch.train_config import TrainConfig
from graphmatch.train_run import describe_pairs, weights_digest
from graphmatch.train_task import Phase, TrainTask
from graphmatch.vocab import Vocabulary


class MatcherTask(TrainTask):
    """A matcher that is trained on pairs, all of it in one phase.

    Args:
        matcher: the model.
        pairs: what to train on.
        vocabulary: the words.
        config: how to train.
        validation: pairs whose rsum chooses the best checkpoint.
    """

    most: Literal[1, 200, 600] = 600
    nouns = ("captions", "images or videos")
    config: TrainConfig
    vocabulary: Vocabulary

    def __init__(
        self,
        matcher: Matcher,
        pairs: PairSet,
        *,
        vocabulary: Vocabulary,
        config: TrainConfig,
        validation: PairSet | None,
    ) -> None:
        super().__init__(
            matcher, vocabulary=vocabulary, config=config, pairs=pairs, validation=validation
        )
        self._matcher, self._pairs, self._validation = matcher, pairs, validation
        self._usual = matcher.hinge.negatives

    @property
    def phases(self) -> Sequence[Phase]:
        """One, of all parameters."""
        config = self.config
        phase = Phase(
            epochs=config.epochs,
            lr=config.lr,
            begin=self._begin,
            loss=BatchLoss(self._matcher),
            prepare=self._prepare,
        )
        return [phase]

    def _begin(self) -> list[nn.Parameter]:
        return list(self._matcher.parameters())

    def describe(self) -> dict[str, Any]:
        """Model, options, and digests of the data and of the first weights."""
        held = self._validation
        return {
            "model": model_name(self._matcher),
            "config": config_values(self._matcher.config),
            "training": config_values(self.config),
            "words": len(self.vocabulary),
            "data": describe_pairs(self._pairs),
            "validation": None if held is None else describe_pairs(held),
            "first_weights": weights_digest(self._matcher),
        }

    def batches(self, process: tuple[int, int]) -> Batches:
        """Batches of pairs, or shares of those whose negatives are gathered.

        Args:
            process: number of this process and how many there are.
        """
        config = self.config
        return Batches(
            self._pairs,
            batch_size=config.batch_size,
            seed=config.seed,
            process=process,
            gather=config.gather,
        )

    def validate(self) -> tuple[float, dict[str, Any]]:
        """rsum, and the recalls of both directions."""
        assert self._validation is not None
        report = validate(self._matcher, self._validation)
        return report.rsum, {
            "i2t": [report.i2t.r1, report.i2t.r5, report.i2t.r10],
            "t2i": [report.t2i.r1, report.t2i.r5, report.t2i.r10],
        }

    def find_bad(self, batch: Any) -> list[str]:
        """Captions and items that cannot be encoded.

        Args:
            batch: on the device of the matcher.
        """
        bad = []
        with torch.no_grad():
            for what, ids, items in (
                ("caption", batch.text_ids, self._matcher.encode_text(batch.text)),
                ("item", batch.visual_ids, self._matcher.encode_visual(batch.visual)),
            ):
                finite = items.nodes.isfinite().flatten(1).all(dim=1).tolist()
                bad += [
                    f"{what} {key!r}" for key, fine in zip(ids, finite, strict=True) if not fine
                ]
        return bad

    @contextmanager
    def around(self) -> Iterator[None]:
        """Remember what pretrained encoders say of the captions; change negatives for a while."""
        held = self._validation
        encoders = [one for one in self._matcher.modules() if isinstance(one, PieceEncoder)]
        for encoder in encoders:
            encoder.remember(text.word for text in self._pairs.texts())
            encoder.remember(text.word for text in (held.texts() if held else ()))
        try:
            yield
        finally:
            self._matcher.hinge.negatives = self._usual
            for encoder in encoders:
                encoder.forget()

    def _prepare(self, step: int) -> None:
        """All negatives first, if wanted, then the matcher's own."""
        late = step >= self.config.hardest_after
        self._matcher.hinge.negatives = self._usual if late else "all"


def validate(matcher: Matcher, pairs: PairSet) -> RetrievalReport:
    """All items of a set of pairs against all of its captions, in float32.

    Args:
        matcher: scores them.
        pairs: captions with their images or videos.

    Returns:
        The report. Holds all encoded items and the score matrix.
    """
    visuals = encode_visuals(matcher, pairs.gallery_graphs())
    texts = encode_texts(matcher, pairs.texts())
    return evaluate_scores(score_matrix(matcher, visuals, texts), pairs.owner)
