"""Files that stand for images, and what their sources give."""

from __future__ import annotations

from graphmatch.errors import FormatError


def fill(folder, *names):
    """Files whose content is their name."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def loaded(sources):
    """Id and content of each source, or its error."""
    return [(source.id, content(source)) for source in sources]


def content(source):
    try:
        return source.load().decode()
    except FormatError as error:
        return error
