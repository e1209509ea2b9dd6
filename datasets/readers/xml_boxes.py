"""`read_voc_boxes`, `read_flickr_boxes`: annotated boxes of folders of XML files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from graphmatch.datasets.boxes import BoxAnnotations, BoxDraft, image_size
from graphmatch.datasets.text_files import finite_number, plain_text
from graphmatch.datasets.xml_file import read_xml
from graphmatch.errors import FormatError


def read_voc_boxes(
    folder: str | Path, *, labels: Sequence[str] | None = None, first_pixel: int = 1
) -> BoxAnnotations:
    """Boxes of a folder of Pascal VOC's XML files, one an image.

    Args:
        folder: the folder, such as `Annotations`.
        labels: names of the classes in the order of their labels; those that occur, sorted, if
            None.
        first_pixel: number of the leftmost and topmost pixel: 1 in VOC, 0 in files of some tools.
            A box reaches from the near edge of its first pixel to the far edge of its last one.

    Returns:
        Images by the names of their XML files without suffix, sorted. One whose file cannot be
        read, or has a box that is none, has an error instead of boxes.

    Raises:
        FormatError: no such folder, or no XML file in it.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "2007_01.xml").write_text(
        ...     "<annotation><size><width>9</width><height>8</height></size><object>"
        ...     "<name>dog</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>4</xmax><ymax>8</ymax>"
        ...     "</bndbox></object></annotation>")
        >>> read_voc_boxes(folder).images["2007_01"].box.tolist()
        [[0.0, 1.0, 4.0, 8.0]]
    """
    drafts: dict[str, BoxDraft] = {}
    names: dict[str, list[str]] = {}
    for id, draft, objects in _xml_images(folder):
        drafts[id] = draft
        for item in objects:
            name = (item.findtext("name") or "").strip()
            _add_xml(draft, item, first_pixel, ignored=_is_set(item, "difficult"))
            names.setdefault(id, []).append(name)
            if not name:
                draft.fail("object: expected the name of its class (got none)")
    known = sorted({n for own in names.values() for n in own if n}) if labels is None else labels
    ranks = {name: rank for rank, name in enumerate(known)}
    for id, own in names.items():
        draft = drafts[id]
        draft.label = [ranks.get(name, -1) for name in own]
        unknown = next((name for name in own if name not in ranks), None)
        if unknown:
            draft.fail(f"object: expected one of the labels (got {unknown!r:.80})")
    return BoxAnnotations(
        labels=tuple(known), images={id: draft.finish(id) for id, draft in drafts.items()}
    )


def read_flickr_boxes(folder: str | Path) -> BoxAnnotations:
    """Boxes of a folder of Flickr30k Entities' XML files, one an image.

    A box may stand for several phrases, and a phrase for several boxes. Coordinates are the
    numbers of the first and last pixel, from 1, as the official tools read them.

    Args:
        folder: the folder, `Annotations`.

    Returns:
        Images by the names of their XML files without suffix, sorted; no labels. One whose file
        cannot be read, or has a box that is none, has an error instead of boxes.

    Raises:
        FormatError: no such folder, or no XML file in it.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "36979.xml").write_text(
        ...     "<annotation><object><name>7</name><name>8</name><bndbox><xmin>1</xmin>"
        ...     "<ymin>1</ymin><xmax>4</xmax><ymax>3</ymax></bndbox></object>"
        ...     "<object><name>9</name><scene>1</scene><nobndbox>0</nobndbox></object>"
        ...     "</annotation>")
        >>> image = read_flickr_boxes(folder).images["36979"]
        >>> image.phrases, image.box.tolist(), image.scenes
        ((('7', '8'),), [[0.0, 0.0, 4.0, 3.0]], ('9',))
    """
    drafts: dict[str, BoxDraft] = {}
    for id, draft, objects in _xml_images(folder):
        drafts[id] = draft
        for item in objects:
            names = ((name.text or "").strip() for name in item.findall("name"))
            phrases = tuple(name for name in names if name)
            if not phrases:
                draft.fail("object: expected the ids of its phrases (got none)")
            elif item.find("bndbox") is not None:
                _add_xml(draft, item, 1, ignored=False)
                draft.phrases.append(phrases)
            elif _is_set(item, "scene"):
                draft.scenes += phrases
            else:
                draft.unseen += phrases
    return BoxAnnotations(labels=(), images={id: draft.finish(id) for id, draft in drafts.items()})


def _xml_images(folder: str | Path) -> Iterator[tuple[str, BoxDraft, list[Element]]]:
    """Id, draft and objects of the XML files of a folder; none where the draft has an error."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FormatError(f"{folder}: expected a folder of XML files (no such folder)")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() == ".xml")
    if not files:
        raise FormatError(f"{folder}: expected a folder of XML files (got none)")
    for file in files:
        try:
            root = read_xml(file, "annotation")
        except (FormatError, OSError) as error:
            yield file.stem, BoxDraft(error=str(error)), []
            continue
        draft = BoxDraft(
            file=plain_text((root.findtext("filename") or "").strip()),
            size=image_size(root.findtext("size/width"), root.findtext("size/height")),
        )
        yield file.stem, draft, root.findall("object")


def _add_xml(draft: BoxDraft, item: Element, first_pixel: int, *, ignored: bool) -> None:
    names = ("xmin", "ymin", "xmax", "ymax")
    numbers = [finite_number(item.findtext(f"bndbox/{name}")) for name in names]
    if None in numbers:
        draft.fail(f"bndbox: expected {', '.join(names)} (got {numbers})")
        numbers = [0.0] * 4
    x1, y1, x2, y2 = (number or 0.0 for number in numbers)
    near, far = first_pixel, first_pixel - 1  # the last pixel's far edge is one further
    draft.add((x1 - near, y1 - near, x2 - far, y2 - far), -1, ignored=ignored)


def _is_set(item: Element, name: str) -> bool:
    return (item.findtext(name) or "").strip() == "1"
