"""`read_xml`: a small XML file, without anything of XML that can do harm."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from graphmatch.errors import FormatError

_MOST_BYTES = 2**24


def read_xml(path: str | Path, root: str) -> Element:
    """Content of an XML file.

    A document type declaration is refused, and with it every entity a file could define: none can
    grow, and none can name another file.

    Args:
        path: the file, at most 16 MiB.
        root: name that its root must have.

    Returns:
        The root element.

    Raises:
        FormatError: damaged, too large, a document type, another root.
        OSError: the file cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.xml"
        >>> _ = path.write_text("<annotation><filename>7.jpg</filename></annotation>")
        >>> read_xml(path, "annotation").findtext("filename")
        '7.jpg'
    """
    path = Path(path)
    with path.open("rb") as stream:
        content = stream.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise FormatError(f"{path}: expected an XML file of at most {_MOST_BYTES:,} bytes")

    def refuse(*_: object) -> None:
        raise FormatError(f"{path}: expected XML without a document type (<!DOCTYPE ...>)")

    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path}: expected XML ({error})") from error
    element = builder.close()
    if element.tag != root:
        raise FormatError(f"{path}: expected <{root}> (got <{element.tag:.80}>)")
    return element
