"""`IndexReport`: what adding items to an index did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexReport:
    """Counts of items; reports of several runs add up.

    Args:
        added: items that are new.
        replaced: items that replaced one of the same id.
        kept: items whose id was there, left as they were.
        failures: (id, reason) of every item that could not be used.
        bare: items that the metadata has no row for.

    Example:
        >>> IndexReport(added=2) + IndexReport(kept=1, failures=(("a", "no regions"),))
        IndexReport(added=2, replaced=0, kept=1, failures=(('a', 'no regions'),), bare=0)
    """

    added: int = 0
    replaced: int = 0
    kept: int = 0
    failures: tuple[tuple[str, str], ...] = field(default=())
    bare: int = 0

    def __add__(self, other: IndexReport) -> IndexReport:
        return IndexReport(
            added=self.added + other.added,
            replaced=self.replaced + other.replaced,
            kept=self.kept + other.kept,
            failures=(*self.failures, *other.failures),
            bare=self.bare + other.bare,
        )

    def lines(self, out: object) -> Iterator[str]:
        """The report as text.

        Args:
            out: name of the index.

        Yields:
            Lines: the counts, then the first failures.
        """
        yield (
            f"{out}: {self.added:,} items added, {self.replaced:,} replaced, {self.kept:,} kept, "
            f"{len(self.failures):,} failed"
        )
        for key, reason in self.failures[:10]:
            yield f"  {key}: {reason}"
        if len(self.failures) > 10:
            yield f"  and {len(self.failures) - 10:,} more"
        if self.bare:
            yield f"  {self.bare:,} items have no row in the metadata"
