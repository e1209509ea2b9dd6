"""`Ensemble`: the mean of several trained matchers' scores.

GSMN (CVPR 2020) "sparse + dense" and SCAN (ECCV 2018) "t-i AVG + i-t LSE" are such means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from graphmatch.encoded import Encoded
from graphmatch.errors import ConfigError, GraphError
from graphmatch.models.matcher import Matcher

Value = TypeVar("Value")


class Ensemble(Matcher):
    """Scores with several matchers and takes the mean of their matrices.

    The matchers must see the same nodes, as the SCAN family does with words and regions, and encode
    them to the same number of numbers; they may differ in everything else. They are trained one by
    one; a mean of matrices that exist already needs no ensemble. Items have no `pooled` vectors.

    Args:
        matchers: at least one, trained.

    Raises:
        ConfigError: no matcher.

    Example:
        >>> from graphmatch.models.gsmn import GSMN, GSMNConfig
        >>> sparse, dense = (GSMN(GSMNConfig(vocabulary=9, embed_size=32, graph=graph))
        ...                  for graph in ("sparse", "dense"))
        >>> both = Ensemble([sparse, dense])
        >>> len(both.matchers)
        2
    """

    def __init__(self, matchers: Sequence[Matcher]) -> None:
        super().__init__()
        if not matchers:
            raise ConfigError("expected at least one matcher (got none)")
        self.matchers: Any = nn.ModuleList(matchers)
        sizes = [matcher.tile for matcher in matchers]
        self.tile = min(size[0] for size in sizes), min(size[1] for size in sizes)  # type: ignore[misc]

    def encode_text(self, texts: Any) -> Encoded:
        """Encode captions with every matcher.

        Args:
            texts: as of the matchers.

        Returns:
            n items whose nodes hold the numbers of all matchers, one after the other.

        Raises:
            GraphError: matchers that see different nodes.
        """
        return self._join([matcher.encode_text(texts) for matcher in self.matchers])

    def encode_visual(self, visuals: Any) -> Encoded:
        """Encode images or videos with every matcher; see `encode_text`."""
        return self._join([matcher.encode_visual(visuals) for matcher in self.matchers])

    def prepare_text(self, text: Encoded) -> Encoded:
        """What every matcher prepares."""
        return self._prepare(text, [matcher.prepare_text for matcher in self.matchers])

    def prepare_visual(self, visual: Encoded) -> Encoded:
        """What every matcher prepares."""
        return self._prepare(visual, [matcher.prepare_visual for matcher in self.matchers])

    def score_tile(self, visual: Encoded, text: Encoded) -> Tensor:
        """Mean of the matchers' scores of prepared items; see `Matcher.score_tile`."""
        pairs = zip(self.matchers, self._split(visual), self._split(text), strict=True)
        return torch.stack([m.score_tile(left, right) for m, left, right in pairs]).mean(dim=0)

    def loss(self, scores: Tensor, owner: Tensor) -> Tensor:
        """The first matcher's loss."""
        loss: Tensor = self.matchers[0].loss(scores, owner)
        return loss

    def _prepare(self, items: Encoded, how: Sequence[Callable[[Encoded], Encoded]]) -> Encoded:
        parts = [prepare(part) for prepare, part in zip(how, self._split(items), strict=True)]
        return self._join(parts)

    def _join(self, parts: Sequence[Encoded]) -> Encoded:
        """One `Encoded` of several; tensors of the i-th part are called `i.NAME`."""
        first = parts[0]
        for part in parts:
            if part.nodes.shape != first.nodes.shape or not torch.equal(part.mask, first.mask):
                raise GraphError(
                    "expected matchers with the same nodes, of the same size "
                    f"(got {first} and {part})"
                )
        extra: dict[str, Tensor] = {}
        axes: dict[str, tuple[int, ...]] = {}
        for number, part in enumerate(parts):
            extra |= {f"{number}.{name}": value for name, value in part.extra.items()}
            axes |= {f"{number}.{name}": places for name, places in part.node_axes.items()}
        nodes = torch.cat([part.nodes for part in parts], dim=-1)  # [n, M, parts * D]
        return Encoded(nodes=nodes, mask=first.mask, extra=extra, node_axes=axes)

    def _split(self, items: Encoded) -> list[Encoded]:
        """What `_join` joined."""
        parts = []
        for number, nodes in enumerate(items.nodes.chunk(len(self.matchers), dim=-1)):
            prefix = f"{number}."
            extra, axes = _named(items.extra, prefix), _named(items.node_axes, prefix)
            parts.append(Encoded(nodes=nodes, mask=items.mask, extra=extra, node_axes=axes))
        return parts


def _named(values: Mapping[str, Value], prefix: str) -> dict[str, Value]:
    """The values whose names start with a prefix, by what follows it."""
    return {n.removeprefix(prefix): v for n, v in values.items() if n.startswith(prefix)}
