"""`PairSet`: captions and the images or videos that they describe, joined by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from graphmatch.caption_set import CaptionSet, check_captions
from graphmatch.errors import ConfigError
from graphmatch.feature_store import FeatureStore
from graphmatch.graphs.base import Graph
from graphmatch.graphs.text import TextGraph

Pair = tuple[TextGraph, str, Graph, str]


class PairSet(Sequence[Pair]):
    """Captions with their images or videos, one pair a caption; a data set for torch.

    A caption whose image or video is not in the store, or failed there, is left out and counted.
    The gallery is what at least one caption describes, in the order of the store.

    Args:
        captions: captions with owners.
        visuals: regions or clips.

    Raises:
        ConfigError: no caption that has its image or video.
    """

    def __init__(self, captions: CaptionSet, visuals: FeatureStore) -> None:
        check_captions(captions)
        self.captions, self.visuals = captions, visuals
        bad = {key for key, _ in visuals.failures}
        self.skipped: list[tuple[str, str]] = list(captions.failures)
        """(id of the caption, reason) of all that were left out."""
        self.places: list[int] = []
        """Number of each pair's caption in `captions`."""
        for place, owner in enumerate(captions.owners):
            problem = _problem(owner, visuals, bad)
            if problem is None:
                self.places.append(place)
            else:
                self.skipped.append((captions.ids[place], problem))
        if not self.places:
            raise ConfigError(
                f"expected captions whose images or videos are in {visuals.path} "
                f"(got none of {len(captions)}; caption {self.skipped[-1][0]}: "
                f"{self.skipped[-1][1]}); ids of owners must be those of the store"
            )
        found = {visuals.position(str(captions.owners[place])) for place in self.places}
        self.gallery: list[int] = sorted(found)
        """Numbers of the images or videos in `visuals`, ascending."""
        row = {position: number for number, position in enumerate(self.gallery)}
        self.owner: Tensor = torch.tensor(
            [row[visuals.position(str(captions.owners[place]))] for place in self.places]
        )
        """[pairs] int64 place in `gallery` of what each caption describes."""

    @property
    def text_ids(self) -> list[str]:
        """Ids of the captions, one a pair."""
        return [self.captions.ids[place] for place in self.places]

    @property
    def visual_ids(self) -> list[str]:
        """Ids of the gallery."""
        return [self.visuals.ids[position] for position in self.gallery]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> Pair:  # type: ignore[override]  # no slices
        """A pair.

        Args:
            number: of the pair, from 0.

        Returns:
            Caption, its id, image or video, its id: what `collate_pairs` takes.

        Raises:
            IndexError: no such number.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"expected a number below {len(self)} (got {number})")
        place, position = self.places[number], self.gallery[int(self.owner[number])]
        visual: Any = self.visuals.graph(position)
        return (
            self.captions[place],
            self.captions.ids[place],
            visual,
            self.visuals.ids[position],
        )

    def texts(self) -> Sequence[TextGraph]:
        """Captions of all pairs, made when they are asked for."""
        return _Chosen(self.captions, self.places)

    def gallery_graphs(self) -> Sequence[Any]:
        """Images or videos of the gallery, read when they are asked for."""
        return _Stored(self.visuals, self.gallery)

    def __repr__(self) -> str:
        return (
            f"PairSet({len(self)} captions, {len(self.gallery)} {self.visuals.kind} items, "
            f"{len(self.skipped)} captions left out)"
        )


def _problem(owner: str | None, visuals: FeatureStore, bad: set[str]) -> str | None:
    if owner is None:
        return "the caption names no image or video"
    if owner in bad:
        return f"{owner!r} failed in the store"
    return None if owner in visuals else f"{owner!r} is not in the store"


class _Chosen(Sequence[TextGraph]):
    def __init__(self, captions: CaptionSet, places: list[int]) -> None:
        self._captions, self._places = captions, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> TextGraph:  # type: ignore[override]
        return self._captions[self._places[number]]


class _Stored(Sequence[Any]):
    def __init__(self, visuals: FeatureStore, positions: list[int]) -> None:
        self._visuals, self._positions = visuals, positions

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, number: int) -> Any:  # type: ignore[override]
        return self._visuals.graph(self._positions[number])
