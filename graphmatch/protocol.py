"""`Protocol`: which captions meet which images or videos when a matcher is evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from graphmatch.errors import ConfigError, check_choice
from graphmatch.evaluate import split_folds
from graphmatch.unique_captions import unique_captions

ProtocolName = Literal["all", "folds", "unique", "first"]
"""Protocols by name."""


class ProtocolPart(NamedTuple):
    """A gallery that is evaluated for itself.

    Args:
        items: [f] positions of its images or videos, ascending.
        captions: [c] positions of its captions.
        relevant: [2, P] right pairs, counted within the part.
        owner: [c] item that each caption is resampled with, counted within the part.
    """

    items: Tensor
    captions: Tensor
    relevant: Tensor
    owner: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """A protocol of `graphmatch.evaluate` by name.

    Args:
        name: `"all"`: everything at once. `"folds"`: consecutive parts of the gallery, then the
            mean (COCO 1K as published). `"unique"`: each caption text once, right for all of its
            videos (HGR). `"first"`: the first images and their captions. The order of the gallery
            is that of the store of images: published folds need the published order.
        folds: of `"folds"`; divides the number of images.
        first: of `"first"`, how many images.
        ties: who of equal scores is placed first, see `graphmatch.ranks.ranks`.
        median: `"exact"`, or `"floor"` as SCAN, GSMN and IMRAM print it.

    Raises:
        ConfigError: an unknown choice or an impossible number.

    Example:
        >>> part, = Protocol(name="first", first=1).parts(torch.tensor([1, 0, 0]), items=2)
        >>> part.captions.tolist(), part.relevant.tolist()
        ([1, 2], [[0, 0], [0, 1]])
    """

    name: ProtocolName = "all"
    folds: int = 5
    first: int = 1000
    ties: str = "first"
    median: str = "exact"

    def __post_init__(self) -> None:
        check_choice("protocol", self.name, get_args(ProtocolName))
        check_choice("rule for ties", self.ties, ("first", "scan", "hgr"))
        check_choice("median", self.median, ("exact", "floor"))
        if self.folds < 1 or self.first < 1:
            got = f"{self.folds} and {self.first}"
            raise ConfigError(f"expected folds and first images from 1 (got {got})")

    def parts(
        self, owner: Tensor, *, items: int, texts: Sequence[str] | None = None
    ) -> list[ProtocolPart]:
        """The galleries that are evaluated.

        Args:
            owner: [n_t] int64 item of each caption.
            items: n_v, how many items there are.
            texts: n_t captions, for `"unique"`.

        Returns:
            One part, or as many as there are folds.

        Raises:
            ConfigError: folds that do not divide the items, more first items than there are, no
                texts.
        """
        everything = torch.arange(len(owner))
        if self.name == "folds":
            return [
                ProtocolPart(fold.items, fold.captions, _own(fold.owner), fold.owner)
                for fold in split_folds(owner, visual=items, folds=self.folds)
            ]
        if self.name == "unique":
            if texts is None:
                raise ConfigError("expected the texts of the captions for protocol 'unique'")
            unique = unique_captions(texts, owner)
            captions = unique.first
            return [ProtocolPart(torch.arange(items), captions, unique.relevant, owner[captions])]
        count = items
        if self.name == "first":
            count = self.first
            if count > items:
                raise ConfigError(f"expected first images of {items} (got {count})")
        captions = everything[owner < count]
        chosen = owner[captions]
        return [ProtocolPart(torch.arange(count), captions, _own(chosen), chosen)]

    def __str__(self) -> str:
        more = {"folds": f", {self.folds} folds", "first": f" {self.first:,}"}
        return f"{self.name}{more.get(self.name, '')}"


def _own(owner: Tensor) -> Tensor:
    return torch.stack((owner, torch.arange(len(owner))))  # [2, c]
