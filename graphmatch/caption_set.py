"""`CaptionSet`: captions of a store as the graphs that a matcher reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from graphmatch.columns import CaptionGraph
from graphmatch.errors import ConfigError, GraphError
from graphmatch.graphs.text import TextGraph
from graphmatch.graphs.words import add_marks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphmatch.models.matcher import Matcher
    from graphmatch.rows import CaptionRow
    from graphmatch.vocab import Vocabulary

_COLUMNS = ("word", "kind", "role", "span", "edge_index", "relation")


class CaptionSet(Sequence[TextGraph]):
    """N captions of a corpus, each as the graph of one kind; a sequence of `TextGraph`.

    All graphs are held as a few flat arrays: about 1 kB a caption. What cannot become a graph is
    kept apart with its reason.

    Args:
        rows: captions, for example a `GraphStore`.
        vocabulary: word ids.
        graph: which graph of each caption.
        marks: whether <start> and <end> stand around the words, as SCAN, GSMN and IMRAM want it.

    Raises:
        ConfigError: a vocabulary without the marks that are wanted.

    Example:
        >>> from graphmatch.parse_job import caption_rows
        >>> from graphmatch.datasets.captions import Caption
        >>> from graphmatch.parsers import load_parser
        >>> from graphmatch.vocab import SCAN_SPECIALS, Vocabulary
        >>> rows = caption_rows([Caption(id="1", owner="park", text="A dog runs.")],
        ...                     parser=load_parser("spacy"))
        >>> vocabulary = Vocabulary((*SCAN_SPECIALS, "dog"), "<unk>")
        >>> captions = CaptionSet(rows, vocabulary, graph="dependencies", marks=True)
        >>> captions[0], captions[0].word.tolist(), captions.owners
        (TextGraph(6 words; 3 edges), [1, 3, 4, 3, 3, 2], ['park'])
    """

    def __init__(
        self,
        rows: Iterable[CaptionRow],
        vocabulary: Vocabulary,
        *,
        graph: CaptionGraph,
        marks: bool = False,
    ) -> None:
        from graphmatch.datasets.caption_ids import mark_ids

        ends = mark_ids(vocabulary) if marks else None
        self.graph: CaptionGraph = graph
        self.ids: list[str] = []
        """N ids."""
        self.owners: list[str | None] = []
        """Id of the image or video that each caption describes."""
        self.failures: list[tuple[str, str]] = []
        """(id, reason) of every caption without such a graph."""
        seen: set[str] = set()
        parts: dict[str, list[NDArray[np.int32]]] = {name: [] for name in _COLUMNS}
        for row in rows:
            found = row.roles if graph == "roles" else row.dependencies
            problem = row.error
            if problem is None and row.id in seen:
                problem = "the id was there before"
            if problem is None and (row.parse is None or found is None):
                problem = f"no graph of kind {graph!r}; parse with --graph {graph} or both"
            if problem is not None or row.parse is None or found is None:
                self.failures.append((row.id, str(problem)))
                continue
            try:
                text = TextGraph.from_columns(found, vocabulary.encode(row.parse.words))
            except GraphError as error:
                self.failures.append((row.id, str(error)))
                continue
            if ends is not None:
                text = add_marks(text, *ends)
            seen.add(row.id)
            self.ids.append(row.id)
            self.owners.append(row.owner)
            for name in _COLUMNS:
                parts[name].append(getattr(text, name).numpy().astype(np.int32))
        self._starts = {
            name: np.cumsum([0, *(part.shape[-1] for part in column)])
            for name, column in parts.items()
        }
        self._columns = {
            name: np.concatenate(column, axis=-1) for name, column in parts.items() if column
        }

    @classmethod
    def for_matcher(
        cls, rows: Iterable[CaptionRow], vocabulary: Vocabulary, matcher: Matcher | type[Matcher]
    ) -> CaptionSet:
        """The captions as a matcher reads them.

        Args:
            rows: captions, for example a `GraphStore`.
            vocabulary: word ids, those of the matcher's checkpoint.
            matcher: says which graph, and whether with marks.

        Returns:
            The captions.

        Raises:
            ConfigError: a vocabulary without the marks that are wanted.
        """
        return cls(rows, vocabulary, graph=matcher.caption_graph, marks=matcher.marks)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, position: int) -> TextGraph:  # type: ignore[override]  # no slices
        """A caption.

        Args:
            position: its number from 0.

        Returns:
            Its graph.

        Raises:
            IndexError: no such number.
        """
        if not 0 <= position < len(self):
            raise IndexError(f"expected a number below {len(self)} (got {position})")
        columns = {}
        for name, column in self._columns.items():
            start, end = self._starts[name][position : position + 2]
            columns[name] = torch.from_numpy(column[..., start:end].astype(np.int64))
        return TextGraph(**columns)

    def digest(self) -> str:
        """SHA-256 of ids, owners and graphs: the same for the same captions and vocabulary.

        Returns:
            64 hexadecimal digits.
        """
        digest = hashlib.sha256(json.dumps([self.ids, self.owners]).encode())
        for name in _COLUMNS:
            digest.update(self._starts[name].astype(np.int64).tobytes())
            if name in self._columns:
                digest.update(self._columns[name].tobytes())
        return digest.hexdigest()

    def __repr__(self) -> str:
        return f"CaptionSet({len(self)} captions, {len(self.failures)} failed, {self.graph})"


def check_captions(captions: CaptionSet) -> None:
    """Raise `ConfigError` if not one caption became a graph.

    Args:
        captions: the captions.

    Raises:
        ConfigError: none; says why the first one failed.
    """
    if len(captions):
        return
    why = f" (caption {captions.failures[0][0]}: {captions.failures[0][1]})"
    raise ConfigError(
        f"expected captions with graphs of kind {captions.graph!r} "
        f"(got none{why if captions.failures else ''})"
    )
