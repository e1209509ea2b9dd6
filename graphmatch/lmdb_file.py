"""`LmdbFile`: an LMDB database, read page by page with every number in it checked.

The C library maps the file and follows the numbers in it: a file that was cut off or damaged ends
the whole process. Here nothing but reads inside the file can happen, and it needs no package. Only
reading: files are written by the library (`pip install 'graphmatch[lmdb]'`).

Source: the file format of LMDB 0.9 (version 1 of its data, 64-bit, little-endian): two meta pages,
then a B+ tree of branch and leaf pages; long values lie on pages of their own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from graphmatch.errors import FormatError

_HEADER = struct.Struct("<QHHHH")  # number, padding, flags, end of offsets, start of nodes
_META = struct.Struct("<IIQQ")  # magic, version, address, size of the map
_TREE = struct.Struct("<IHHQQQQQ")  # padding, flags, depth, three counts, entries, root
_LAST = struct.Struct("<QQ")  # last page, transaction
_NODE = struct.Struct("<HHHH")  # size or page (low, high), flags, length of the key
_MAGIC, _VERSION = 0xBEEFC0DE, 1
_BRANCH, _LEAF, _OVERFLOW = 1, 2, 4
_LONG = 1  # the value lies on overflow pages
_NOTHING = 2**64 - 1
_DEPTH = 32


class _Meta(NamedTuple):
    transaction: int
    page_size: int
    flags: int
    root: int


class LmdbFile:
    """The main database of an LMDB file.

    Args:
        path: the file, or a folder with `data.mdb` in it.

    Raises:
        FormatError: no such file, no LMDB, or one of another version or machine.

    Example:
        >>> import lmdb, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> with lmdb.open(folder) as database, database.begin(write=True) as transaction:
        ...     transaction.put(b"key", b"value")
        True
        >>> with LmdbFile(folder) as file:
        ...     file.get(b"key")
        b'value'
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        self.path = path / "data.mdb" if path.is_dir() else path
        if not self.path.is_file():
            raise FormatError(f"{self.path}: no such file")
        self._file = self.path.open("rb")
        try:
            self._meta = self._newest_meta()
        except FormatError:
            self._file.close()
            raise
        self._size = self.path.stat().st_size

    def _newest_meta(self) -> _Meta:
        first = self._meta_at(0)
        sizes = [first.page_size] if first else [1 << power for power in range(8, 17)]
        second = next(filter(None, map(self._meta_at, sizes)), None)
        found = [meta for meta in (first, second) if meta is not None]
        if not found:
            raise FormatError(f"{self.path}: expected an LMDB file (version 1, 64 bit)")
        newest = max(found)
        if newest.flags & 0x7FFF:
            raise FormatError(f"{self.path}: expected one value a key in the order of bytes")
        return newest

    def _meta_at(self, place: int) -> _Meta | None:
        self._file.seek(place + _HEADER.size)
        content = self._file.read(_META.size + 2 * _TREE.size + _LAST.size)
        if len(content) < _META.size + 2 * _TREE.size + _LAST.size:
            return None
        magic, version, _, _ = _META.unpack_from(content)
        page_size = _TREE.unpack_from(content, _META.size)[0]
        tree = _TREE.unpack_from(content, _META.size + _TREE.size)
        _, transaction = _LAST.unpack_from(content, _META.size + 2 * _TREE.size)
        usual = 256 <= page_size <= 65536 and page_size & (page_size - 1) == 0
        if (magic, version) != (_MAGIC, _VERSION) or not usual:
            return None
        return _Meta(transaction, page_size, tree[1], tree[7])

    def get(self, key: bytes) -> bytes | None:
        """The value of a key.

        Args:
            key: the key.

        Returns:
            The value, or None if there is no such key.

        Raises:
            FormatError: a damaged page on the way to it.
        """
        page = self._meta.root
        for _ in range(_DEPTH):
            if page == _NOTHING:
                return None
            leaf, nodes = self._page(page)
            if leaf:
                found = next((node for node in nodes if node[0] == key), None)
                return None if found is None else self._value(found[1], None)
            below = [node[1] for place, node in enumerate(nodes) if place == 0 or node[0] <= key]
            page = int.from_bytes(below[-1], "little")
        raise self._damaged("a tree that is too deep")

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All keys and values in the order of the keys.

        Yields:
            Key and value.

        Raises:
            FormatError: a damaged page.
        """
        seen: set[int] = set()
        waiting = [] if self._meta.root == _NOTHING else [self._meta.root]
        while waiting:
            page = waiting.pop()
            self._see(page, seen)
            leaf, nodes = self._page(page)
            if leaf:
                for key, place in nodes:
                    yield key, self._value(place, seen)
            else:
                waiting += [int.from_bytes(place, "little") for _, place in reversed(nodes)]

    def _see(self, page: int, seen: set[int] | None) -> None:
        if seen is not None and page in seen:
            raise self._damaged(f"page {page} twice")
        if seen is not None:
            seen.add(page)

    def _page(self, number: int) -> tuple[bool, list[tuple[bytes, bytes]]]:
        """Whether a page is a leaf, and the key and the rest of each of its nodes."""
        content = self._read(number, self._meta.page_size)
        _, _, flags, lower, upper = _HEADER.unpack_from(content)
        kind = flags & ~0x10
        if kind not in (_BRANCH, _LEAF) or not 16 <= lower <= upper <= len(content):
            raise self._damaged(f"page {number}")
        nodes = []
        for (place,) in struct.iter_unpack("<H", content[16 : lower & ~1]):
            if not upper <= place <= len(content) - _NODE.size:
                raise self._damaged(f"page {number}")
            low, high, node_flags, key_size = _NODE.unpack_from(content, place)
            start = place + _NODE.size
            end = start + key_size
            if end > len(content):
                raise self._damaged(f"page {number}")
            if kind == _BRANCH:
                rest = content[place : place + 6]  # the page below
            else:
                size = low | high << 16
                stored = 8 if node_flags & _LONG else size
                if node_flags & ~_LONG or end + stored > len(content):
                    raise self._damaged(f"page {number}, or another database in it")
                rest = content[end : end + stored]
                if node_flags & _LONG:
                    rest = struct.pack("<I", size) + rest
                rest = bytes([node_flags]) + rest
            nodes.append((content[start:end], rest))
        if not nodes:
            raise self._damaged(f"page {number}")
        return kind == _LEAF, nodes

    def _value(self, stored: bytes, seen: set[int] | None) -> bytes:
        """A value: what its leaf says, or its overflow pages."""
        if not stored[0]:
            return stored[1:]
        size, page = struct.unpack("<IQ", stored[1:])
        self._see(page, seen)
        content = self._read(page, _HEADER.size + size)
        flags = _HEADER.unpack_from(content)[2]
        if not flags & _OVERFLOW:
            raise self._damaged(f"page {page}")
        return content[_HEADER.size :]

    def _read(self, page: int, size: int) -> bytes:
        place = page * self._meta.page_size
        if place + size > self._size:
            raise self._damaged(f"page {page} lies beyond the end: it was cut off")
        self._file.seek(place)
        return self._file.read(size)

    def _damaged(self, what: str) -> FormatError:
        return FormatError(f"{self.path}: the database is damaged ({what})")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
