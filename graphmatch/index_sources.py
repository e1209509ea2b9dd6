"""Blocks of items for an index, from stores of regions, clips or captions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
from numpy.typing import NDArray

from graphmatch.caption_set import CaptionSet
from graphmatch.errors import FormatError
from graphmatch.npy import map_array

if TYPE_CHECKING:
    from graphmatch.feature_store import FeatureStore
    from graphmatch.models.matcher import Matcher
    from graphmatch.store import GraphStore
    from graphmatch.vocab import Vocabulary

BLOCK = 8192
"""Items of a block: for each, an index is asked which it has."""
CAPTION_COLUMNS = pa.schema([("caption", pa.string()), ("owner", pa.string())])
"""Metadata of a gallery of captions: the text, and the id of the image or video."""


class Block(NamedTuple):
    """Some items of a store.

    Args:
        ids: of n items.
        graphs: the n items, read when they are asked for.
        metadata: n rows that the store itself has, or None.
        failures: (id, reason) of items that the store could not give.
    """

    ids: list[str]
    graphs: Sequence[Any]
    metadata: pa.Table | None
    failures: tuple[tuple[str, str], ...]


def visual_blocks(store: FeatureStore, *, size: int = BLOCK) -> Iterator[Block]:
    """Images or videos of a store.

    Args:
        store: regions or clips.
        size: items of a block.

    Yields:
        Blocks in the order of the store; items that failed there are failures here.
    """
    bad = dict(store.failures)
    for start in range(0, len(store), size):
        places = range(start, min(start + size, len(store)))
        good = [place for place in places if store.ids[place] not in bad]
        failed = ((store.ids[place], bad.get(store.ids[place])) for place in places)
        yield Block(
            [store.ids[place] for place in good],
            _Graphs(store, good),
            None,
            tuple((key, reason) for key, reason in failed if reason is not None),
        )


def caption_blocks(
    store: GraphStore, vocabulary: Vocabulary, matcher: Matcher, *, size: int = BLOCK
) -> Iterator[Block]:
    """Captions of a store, with their texts and owners as metadata.

    Args:
        store: captions.
        vocabulary: of the matcher's checkpoint.
        matcher: says which graphs it reads.
        size: captions of a block.

    Yields:
        Blocks in the order of the store.
    """
    rows = iter(store)
    while part := list(islice(rows, size)):
        captions = CaptionSet.for_matcher(part, vocabulary, matcher)
        texts = {row.id: row.text for row in reversed(part)}
        columns = [[texts[key] for key in captions.ids], captions.owners]
        metadata = pa.table(
            [pa.array(column, pa.string()) for column in columns], schema=CAPTION_COLUMNS
        )
        yield Block(captions.ids, captions, metadata, tuple(captions.failures))


class VectorFile:
    r"""Vectors of items by id, in the order of a list of ids; mapped into memory.

    Args:
        path: `.npy` file, [n, D].
        ids: text file of n ids, one a line; the same name with `.txt` if None.

    Raises:
        FormatError: files that do not go together.

    Example:
        >>> import tempfile, numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "clip.npy"
        >>> np.save(path, np.eye(2))
        >>> _ = path.with_suffix(".txt").write_text("dog\ncat\n")
        >>> VectorFile(path)["cat"]
        array([0., 1.])
    """

    def __init__(self, path: str | Path, ids: str | Path | None = None) -> None:
        self.array: NDArray[Any] = map_array(Path(path))
        names = Path(path).with_suffix(".txt") if ids is None else Path(ids)
        keys = names.read_text(encoding="utf-8").splitlines()
        if self.array.ndim != 2 or len(self.array) != len(keys):
            raise FormatError(
                f"{path}: expected one vector for each of the {len(keys)} ids of {names} (got "
                f"{list(self.array.shape)})"
            )
        self._places = {key: place for place, key in enumerate(keys)}
        if len(self._places) != len(keys):
            raise FormatError(f"{names}: expected each id once")

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def __getitem__(self, key: str) -> NDArray[Any]:
        found: NDArray[Any] = self.array[self._places[key]]
        return found

    def take(self, ids: Sequence[str]) -> NDArray[Any]:
        """Vectors of some items.

        Args:
            ids: of n items that are there.

        Returns:
            [n, D] copies.
        """
        found: NDArray[Any] = self.array[[self._places[key] for key in ids]]
        return found


def chosen(block: Block, vectors: VectorFile) -> Block:
    """The items of a block that have a vector; the others become failures.

    Args:
        block: some items.
        vectors: by id.

    Returns:
        A block.
    """
    places = [place for place, key in enumerate(block.ids) if key in vectors]
    missing = tuple((key, "no vector with this id") for key in block.ids if key not in vectors)
    metadata = None if block.metadata is None else block.metadata.take(places)
    return Block(
        [block.ids[place] for place in places],
        _Picked(block.graphs, places),
        metadata,
        (*block.failures, *missing),
    )


class _Graphs(Sequence[Any]):
    """Items of a store by their numbers in it."""

    def __init__(self, store: FeatureStore, places: Sequence[int]) -> None:
        self._store, self._places = store, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> Any:  # type: ignore[override]  # no slices
        return self._store.graph(self._places[number])


class _Picked(Sequence[Any]):
    """Some of the items of a sequence."""

    def __init__(self, items: Sequence[Any], places: Sequence[int]) -> None:
        self._items, self._places = items, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> Any:  # type: ignore[override]  # no slices
        return self._items[self._places[number]]
