"""`LmdbFile`: an LMDB database, read page by page with every number in it checked.

The C library maps the file and follows the numbers in it: a file that was cut off or damaged ends
the whole process. Here nothing but reads inside the file can happen, and it needs no package. Only
reading: files are written by the library (`pip install 'graphmatch[lmdb]'`).

Source: the file format of LMDB 0.9 (version 1 of its data, 64-bit, little-endian): two meta pages,
then a B+ tree of branch and leaf pages; long values lie on pages of their own.
"""

from __future__ import annotations

import struct
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
_BRANCH, _LEAF, _OVERFLOW, _DIRTY = 1, 2, 4, 16  # what a page is
_LONG = 1  # the value lies on overflow pages
_NOTHING = 2**64 - 1
_DEPTH = 32


class _Meta(NamedTuple):
    transaction: int
    page_size: int
    flags: int
    root: int


class _Node(NamedTuple):
    key: bytes
    start: int
    end: int  # of its key


class LmdbFile:
    """The main database of an LMDB file, to be gone through once.

    Long values of more than twice the size of the file are not read: they would have to overlap.

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
        self._left = 2 * self._size  # bytes of long values that may still be read

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
            content = self._read(page, self._meta.page_size)
            kind, nodes = self._nodes(page, content)
            if kind == _LEAF:
                found = next((node for node in nodes if node.key == key), None)
                return None if found is None else self._value(page, content, found)
            # the first key of a branch stands for everything before the second
            below = [node for place, node in enumerate(nodes) if place == 0 or node.key <= key][-1]
            page = int.from_bytes(content[below.start : below.start + 6], "little")
        raise self._damaged("a tree that is too deep")

    def _nodes(self, page: int, content: bytes) -> tuple[int, list[_Node]]:
        """What kind of page it is, and its nodes."""
        _, _, flags, lower, upper = _HEADER.unpack_from(content)
        kind = flags & ~_DIRTY
        if kind not in (_BRANCH, _LEAF) or not _HEADER.size < lower <= upper <= len(content):
            raise self._damaged(f"page {page}")
        nodes = []
        for (start,) in struct.iter_unpack("<H", content[_HEADER.size : lower & ~1]):
            if not upper <= start <= len(content) - _NODE.size:
                raise self._damaged(f"page {page}")
            first = start + _NODE.size
            end = first + _NODE.unpack_from(content, start)[3]
            if end > len(content):
                raise self._damaged(f"page {page}")
            nodes.append(_Node(content[first:end], start, end))
        if not nodes:
            raise self._damaged(f"page {page}")
        return kind, nodes

    def _value(self, page: int, content: bytes, node: _Node) -> bytes:
        """The value of a node of a leaf, which lies behind its key or on overflow pages."""
        low, high, flags, _ = _NODE.unpack_from(content, node.start)
        size = low | high << 16
        stored = content[node.end : node.end + (8 if flags & _LONG else size)]
        if flags & ~_LONG or len(stored) < (8 if flags & _LONG else size):
            raise self._damaged(f"page {page}, or another database in it")
        if not flags & _LONG:
            return stored
        self._left -= size
        if self._left < 0:
            raise self._damaged("values that overlap each other")
        page = int.from_bytes(stored, "little")
        content = self._read(page, _HEADER.size + size)
        if not _HEADER.unpack_from(content)[2] & _OVERFLOW:
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
