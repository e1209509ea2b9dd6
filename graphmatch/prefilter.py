"""`Prefilter`: what finds a query's nearest vectors before the matcher scores them exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


class Candidate(NamedTuple):
    """An item that the prefilter found.

    Args:
        id: of the item.
        score: cosine of its vector and the query's.
    """

    id: str
    score: float


@runtime_checkable
class Prefilter(Protocol):
    """Vectors by id; `LanceTable` and `MilvusPrefilter` are two.

    An index writes to it before it writes the items themselves, and deletes from it afterwards: it
    may hold ids that the index does not have, never the other way round. `MatchIndex` leaves such
    ids out.
    """

    name: str
    """What an index remembers of it, to be opened with the same one."""

    def add(self, rows: pa.Table) -> None:
        """Add items, or replace those whose id is there.

        Args:
            rows: columns `id`, `vector` (lists of D float32, length 1), and the metadata.
        """
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Delete items; ids that are not there are no error.

        Args:
            ids: of the items.
        """
        ...

    def search(
        self, vector: NDArray[np.float32], *, limit: int, where: str | None = None
    ) -> list[Candidate]:
        """The items whose vectors have the largest cosine with a vector.

        Args:
            vector: [D] float32.
            limit: how many at most.
            where: a condition on the metadata in SQL; only items that meet it count.

        Returns:
            Best first.

        Raises:
            ConfigError: a condition that is wrong, or that it cannot evaluate.
        """
        ...

    def count(self) -> int:
        """How many items there are."""
        ...
