"""`MatchBatch`: captions and the images or videos that they may describe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch

from graphmatch.errors import GraphError
from graphmatch.graphs.base import Graph, require
from graphmatch.graphs.history import HistoryGraph, check_modalities
from graphmatch.graphs.text import TextGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchBatch:
    """Captions, visual items, and which caption belongs to which item.

    Args:
        text: PyG batch of `TextGraph`, with `word_batch` and `word_ptr` for its words.
        visual: PyG batch of `RegionGraph` or `ClipGraph`.
        owner: [n_text] int64 number of the visual item that each caption describes.
        text_ids: n_text ids of the captions.
        visual_ids: n_visual ids of the visual items.
        moment: [n_text, 2] start and end in seconds of what each caption describes; optional.

    Example:
        >>> text = TextGraph(word=torch.tensor([3]), kind=torch.tensor([3]),
        ...     role=torch.tensor([-1]), span=torch.tensor([[0], [0]]),
        ...     edge_index=torch.zeros(2, 0, dtype=torch.int64),
        ...     relation=torch.zeros(0, dtype=torch.int64))
        >>> from graphmatch.graphs.region import RegionGraph
        >>> image = RegionGraph(x=torch.zeros(1, 2), box=torch.tensor([[0.0, 0, 1, 1]]),
        ...                     size=torch.tensor([[8.0, 8.0]]))
        >>> collate_pairs([(text, "a", image, "i"), (text, "b", image, "i")])
        MatchBatch(2 captions, 1 visual item)
    """

    text: Any
    visual: Any
    owner: Tensor
    text_ids: tuple[str, ...]
    visual_ids: tuple[str, ...]
    moment: Tensor | None = None

    @classmethod
    def collate(
        cls,
        texts: Sequence[TextGraph],
        visuals: Sequence[Graph],
        *,
        owner: Sequence[int],
        text_ids: Sequence[str],
        visual_ids: Sequence[str],
        moment: Tensor | None = None,
    ) -> MatchBatch:
        """A batch of graphs.

        Args:
            texts: n_text captions.
            visuals: n_visual items, all of one type.
            owner: number of each caption's visual item.
            text_ids: ids of the captions.
            visual_ids: ids of the visual items.
            moment: [n_text, 2] seconds, optional.

        Returns:
            The batch.

        Raises:
            GraphError: no captions or items, items of several types, an owner out of range.
        """
        batch = cls(
            text=batch_graphs(texts, follow=("word",)),
            visual=batch_graphs(visuals),
            owner=torch.tensor(owner, dtype=torch.int64),
            text_ids=tuple(text_ids),
            visual_ids=tuple(visual_ids),
            moment=moment,
        )
        batch.check()
        return batch

    def to(self, device: torch.device | str) -> MatchBatch:
        """The batch on a device.

        Args:
            device: where to.

        Returns:
            A new batch; this one stays where it is.
        """
        return MatchBatch(
            text=self.text.clone().to(device),
            visual=self.visual.clone().to(device),
            owner=self.owner.to(device),
            text_ids=self.text_ids,
            visual_ids=self.visual_ids,
            moment=None if self.moment is None else self.moment.to(device),
        )

    def validate(self) -> bool:
        """Check every graph and what binds them.

        Returns:
            True.

        Raises:
            GraphError: what was expected and what was got.
        """
        self.text.validate()
        self.visual.validate()
        self.check()
        return True

    def check(self) -> None:
        """Check owners, ids and moments, not the graphs.

        Raises:
            GraphError: what was expected and what was got.
        """
        texts, visuals = self.text.num_graphs, self.visual.num_graphs
        require(self.owner.shape == (texts,), "shape of owner", (texts,), tuple(self.owner.shape))
        require(self.owner.dtype == torch.int64, "dtype of owner", torch.int64, self.owner.dtype)
        fits = bool(((self.owner >= 0) & (self.owner < visuals)).all())
        require(fits, "owner", f"items from 0 to {visuals - 1}", self.owner.tolist())
        require(len(self.text_ids) == texts, "text_ids", texts, len(self.text_ids))
        require(len(self.visual_ids) == visuals, "visual_ids", visuals, len(self.visual_ids))
        if self.moment is not None:
            shape = tuple(self.moment.shape)
            require(shape == (texts, 2), "shape of moment", (texts, 2), shape)
            ordered = bool((self.moment[:, 0] <= self.moment[:, 1]).all())
            require(ordered, "moment", "start before end", self.moment.tolist())

    def __len__(self) -> int:
        return len(self.text_ids)

    def __repr__(self) -> str:
        items = "item" if len(self.visual_ids) == 1 else "items"
        moments = "" if self.moment is None else ", with moments"
        return f"MatchBatch({len(self)} captions, {len(self.visual_ids)} visual {items}{moments})"


def collate_pairs(pairs: Sequence[tuple[TextGraph, str, Graph, str]]) -> MatchBatch:
    """A batch of (caption, its id, visual item, its id); items of one id are one item.

    A `collate_fn` for `torch.utils.data.DataLoader`.

    Args:
        pairs: what a data set gives.

    Returns:
        The batch; visual items in the order of their first caption.

    Raises:
        GraphError: as `MatchBatch.collate`.
    """
    visuals: dict[str, Graph] = {}
    for _, _, visual, visual_id in pairs:
        visuals.setdefault(visual_id, visual)
    number = {visual_id: place for place, visual_id in enumerate(visuals)}
    return MatchBatch.collate(
        [text for text, _, _, _ in pairs],
        list(visuals.values()),
        owner=[number[visual_id] for _, _, _, visual_id in pairs],
        text_ids=[text_id for _, text_id, _, _ in pairs],
        visual_ids=list(visuals),
    )


def word_ptr(texts: Any) -> Tensor:
    """Where the words of each caption of a batch begin.

    Args:
        texts: PyG batch of n `TextGraph`.

    Returns:
        [n + 1] int64: caption i has the words from ptr[i] to ptr[i + 1] - 1 of `texts.word`.

    Raises:
        GraphError: a batch that was made without it.
    """
    ptr = texts.get("word_ptr")
    if ptr is None:
        raise GraphError("texts: no word_ptr; make it by batch_graphs(graphs, follow=('word',))")
    return ptr  # type: ignore[no-any-return]  # PyG has no types


def batch_graphs(graphs: Sequence[Graph], *, follow: Sequence[str] = ()) -> Any:
    """A PyG batch of graphs of one type, after checking that they go together.

    PyG's own collation takes the attributes of the first graph: one that only later graphs have is
    lost there, and mixed dtypes are promoted. Here both are errors.

    Args:
        graphs: at least one graph.
        follow: attributes for which `NAME_batch` and `NAME_ptr` are added.

    Returns:
        The `torch_geometric.data.Batch`.

    Raises:
        GraphError: no graph, several types; attributes, dtypes or modalities that differ.
    """
    graphs = list(graphs)
    require(bool(graphs), "a batch", "at least one graph", "none")
    first = graphs[0]
    for graph in graphs:
        require(type(graph) is type(first), "a batch", f"only {type(first).__name__}", type(graph))
        keys = sorted(graph.keys())
        require(keys == sorted(first.keys()), "attributes", sorted(first.keys()), keys)
    if isinstance(first, HistoryGraph):
        check_modalities([graph for graph in graphs if isinstance(graph, HistoryGraph)])
    dtypes = {name: value.dtype for name, value in first.columns()}
    for graph in graphs:
        for name, value in graph.columns():
            require(value.dtype == dtypes[name], f"dtype of {name}", dtypes[name], value.dtype)
    return Batch.from_data_list(graphs, follow_batch=list(follow))
