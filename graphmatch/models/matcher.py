"""`Matcher`: what HGR, SCAN, GSMN and IMRAM have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from graphmatch.columns import CaptionGraph
from graphmatch.encoded import Encoded
from graphmatch.graphs.batch import MatchBatch
from graphmatch.nn.hinge_loss import HingeLoss


class Matcher(nn.Module, ABC):
    """Scores captions against images or videos.

    Each item is encoded once (`encode_text`, `encode_visual`). Before scoring, what depends on one
    item only is computed once per block of items (`prepare_text`, `prepare_visual`: Gram matrices,
    projections); `score_tile` does the rest for all pairs of a tile. The dtype of `Encoded.nodes`
    is that of the large matrix products; everything else is computed in float32 at least.
    """

    tile: ClassVar[tuple[int, int]] = (64, 64)
    """How many visual items and captions `graphmatch.scoring` gives to `score_tile` at once."""

    caption_graph: ClassVar[CaptionGraph] = "dependencies"
    """Which graph of a caption it reads."""
    marks: ClassVar[bool] = False
    """Whether <start> and <end> stand around the words of a caption."""

    hinge: HingeLoss

    @abstractmethod
    def encode_text(self, texts: Any) -> Encoded:
        """Encode captions.

        Args:
            texts: PyG batch of n `TextGraph`, as `batch_graphs(graphs, follow=("word",))` makes it.

        Returns:
            n items.
        """

    @abstractmethod
    def encode_visual(self, visuals: Any) -> Encoded:
        """Encode images or videos.

        Args:
            visuals: PyG batch of n `RegionGraph` or `ClipGraph`.

        Returns:
            n items.
        """

    def prepare_text(self, text: Encoded) -> Encoded:
        """Add to captions what `score_tile` needs of each of them alone."""
        return text

    def prepare_visual(self, visual: Encoded) -> Encoded:
        """Add to images or videos what `score_tile` needs of each of them alone."""
        return visual

    @abstractmethod
    def score_tile(self, visual: Encoded, text: Encoded) -> Tensor:
        """Scores of all pairs of prepared items.

        Args:
            visual: n_v prepared items.
            text: n_t prepared items.

        Returns:
            [n_v, n_t], float32 (float64 for float64 nodes). Allocates some numbers for every pair
            of nodes: use `graphmatch.scoring` for more than a tile.
        """

    def score(self, visual: Encoded, text: Encoded) -> Tensor:
        """Scores of all pairs; for small sets, `graphmatch.scoring.score_matrix` takes any.

        Args:
            visual: n_v encoded items.
            text: n_t encoded items.

        Returns:
            [n_v, n_t], float32 (float64 for float64 nodes).
        """
        return self.score_tile(self.prepare_visual(visual), self.prepare_text(text))

    def loss(self, scores: Tensor, owner: Tensor) -> Tensor:
        """Training loss of a batch: the matcher's `hinge`.

        Args:
            scores: [n_v, n_t] scores.
            owner: [n_t] int64 row of each caption's own item.

        Returns:
            A number.
        """
        loss: Tensor = self.hinge(scores, owner)
        return loss

    def training_scores(self, visual: Encoded, text: Encoded) -> Tensor:
        """The score matrices that the training loss is made of; activations are recomputed.

        Args:
            visual: n_v encoded items.
            text: n_t encoded captions.

        Returns:
            [K, n_v, n_t] with gradients; K = 1 unless a matcher has several losses. A row depends
            on its own item and the captions, so rows may be computed apart.
        """
        from graphmatch.scoring import recomputed_scores

        return recomputed_scores(self, visual, text).unsqueeze(0)

    def training_loss(self, scores: Tensor, owner: Tensor) -> Tensor:
        """Training loss of `training_scores`.

        Args:
            scores: [K, n_v, n_t].
            owner: [n_t] int64 row of each caption's own item.

        Returns:
            A number.
        """
        return self.loss(scores[0], owner)

    def forward(self, batch: MatchBatch) -> Tensor:
        """Training loss of a batch; pairs are scored in tiles whose activations are recomputed.

        Args:
            batch: captions and their images or videos.

        Returns:
            A number.
        """
        visual, text = self.encode_visual(batch.visual), self.encode_text(batch.text)
        return self.training_loss(self.training_scores(visual, text), batch.owner)
