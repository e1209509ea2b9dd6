"""`ConlluParser`: captions looked up in a CoNLL-U file."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from graphmatch.errors import FormatError, ParseError
from graphmatch.parse import Frame, Parse
from graphmatch.parsers.conllu import read_conllu
from graphmatch.parsers.normalise import normalise
from graphmatch.parsers.srl.rules import rule_frames


@dataclass
class ConlluParser:
    """Captions looked up in a CoNLL-U file by their text, with frames by rules.

    Args:
        path: the file; read at first use and kept in memory.
        frames: makes the predicate frames of a tree; `rule_frames` by default.

    Raises:
        FormatError: at first use, if there is no such file.

    Example:
        >>> import tempfile
        >>> from graphmatch.parsers.conllu import to_conllu
        >>> path = Path(tempfile.mkdtemp()) / "a.conllu"
        >>> parse = Parse.from_tree(["dogs", "run"], heads=[1, -1], deprels=["nsubj", "root"],
        ...                         pos=["NOUN", "VERB"])
        >>> _ = path.write_text(to_conllu(parse))
        >>> ConlluParser(path).parse("dogs run").frames[0].verb
        (1,)
    """

    path: str | Path
    frames: Callable[[Parse], tuple[Frame, ...]] = field(default=rule_frames)

    name = "conllu"

    @property
    def version(self) -> str:
        """Digest of the file."""
        path = Path(self.path)
        if not path.is_file():
            raise FormatError(f"{path}: expected a CoNLL-U file (no such file)")
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=8)).hexdigest()

    def parse(self, text: str) -> Parse:
        """The parse of a caption that the file holds.

        Args:
            text: the caption; white space and capitals count as `normalise` leaves them.

        Returns:
            Its parse; without words for empty text.

        Raises:
            ParseError: the file does not hold the caption, or only damaged.
        """
        key, origin = normalise(text)
        if not key:
            return Parse.from_tree([], heads=[], deprels=[], text=text)
        found = self._captions.get(key)
        if found is None:
            raise ParseError(f"{self.path}: no caption with this text among {len(self._captions)}")
        if found.text != text:
            # from the file's text to the clean text that both share, and on to this text
            places = normalise(found.text)[1]
            offsets = []
            for start, end in found.offsets:
                first = origin[bisect_left(places, start)]
                last = origin[bisect_left(places, end - 1)] + 1 if end > start else first
                offsets.append((first, last))
            found = replace(found, text=text, offsets=tuple(offsets))
        return found.with_frames(self.frames(found))

    def pipe(self, texts: Iterable[str], batch_size: int = 128) -> Iterator[Parse]:  # noqa: ARG002
        """Parses in the order of the captions, lazily.

        Args:
            texts: captions.
            batch_size: of no effect: nothing is computed.

        Yields:
            One parse a caption.

        Raises:
            ParseError: as `parse`.
        """
        return map(self.parse, texts)

    @cached_property
    def _captions(self) -> dict[str, Parse]:
        captions: dict[str, Parse] = {}
        for caption in read_conllu(self.path):
            if caption.parse is not None:
                captions.setdefault(normalise(caption.parse.text)[0], caption.parse)
        return captions

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "frames": self.frames}
