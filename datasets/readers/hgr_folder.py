"""HGR's folders: captions by video, lists of names, role graphs by caption.

Source: HGR official code, `readers/mpdata.py` and `readers/rolegraphs.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphmatch.columns import GraphColumns
from graphmatch.datasets.captions import read_captions
from graphmatch.datasets.dataset import DataSet, Visual
from graphmatch.datasets.names_file import read_names
from graphmatch.datasets.role_graph_file import role_graph_from_json
from graphmatch.datasets.text_files import read_json, safe_text
from graphmatch.errors import FormatError


def read_hgr_folder(
    folder: str | Path, *, splits: Sequence[str] = ("trn", "val", "tst"), name: str = "hgr"
) -> DataSet:
    """A folder in HGR's layout: MSR-VTT, TGIF, VATEX or MSVD as they were released with it.

    Read are `annotation/RET/ref_captions.json` and `public_split/<split>_names.npy`. The names are
    the ids of the videos, in the order of the rows of `ordered_feature/MP/*/<split>_ft.npy` and the
    keys of `ordered_feature/SA/*/<split>_ft.hdf5`. The vocabulary beside the captions,
    `word2int.json`, is read by `Vocabulary.load`, the role graphs by `read_role_graphs`.

    Args:
        folder: folder of one data set.
        splits: splits whose names are read.
        name: of the data set.

    Returns:
        The videos of the splits in the order of the names, then those that have captions but are
        in none of them, without a split; captions named by video and place (`video0#0`). A video
        without captions has an error.

    Raises:
        FormatError: a file is missing or holds something else.

    Example:
        >>> import json, tempfile
        >>> import numpy as np
        >>> folder = Path(tempfile.mkdtemp())
        >>> for part in ("annotation/RET", "public_split"):
        ...     (folder / part).mkdir(parents=True)
        >>> captions = json.dumps({"video0": ["a dog runs", "a dog plays"]})
        >>> _ = (folder / "annotation/RET/ref_captions.json").write_text(captions)
        >>> np.save(folder / "public_split/val_names.npy", np.array(["video0"]))
        >>> read_hgr_folder(folder, splits=["val"]).splits
        {'val': Counts(visuals=1, captions=2, errors=0)}
    """
    path = Path(folder) / "annotation/RET/ref_captions.json"
    captions = tuple(read_captions(path))
    owners = {caption.owner for caption in captions}
    visuals = []
    for split in splits:
        for id in read_names(Path(folder) / f"public_split/{split}_names.npy"):
            error = None if id in owners else f"no caption in {path.name}"
            visuals.append(Visual(id=id, kind="video", split=split, error=error))
    named = {visual.id for visual in visuals}
    if not named & owners:
        raise FormatError(f"{path}: expected captions of the videos in public_split (got none)")
    visuals += [
        Visual(id=id, kind="video")
        for id in dict.fromkeys(caption.owner for caption in captions)
        if id is not None and id not in named
    ]
    return DataSet(name=name, visuals=tuple(visuals), captions=captions).check()


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionGraph:
    """A caption and its role graph.

    Args:
        text: the caption; captions with the same text share the graph.
        words: T words.
        graph: the role graph; None if it cannot be used.
        error: why it cannot be used.
    """

    text: str
    words: tuple[str, ...] = ()
    graph: GraphColumns | None = None
    error: str | None = None


def read_role_graphs(path: str | Path) -> Iterator[CaptionGraph]:
    """Role graphs of HGR's `sent2rolegraph.augment.json`, in the order of the file.

    Args:
        path: the file, `{caption: [nodes, edges]}`; it is read whole.

    Yields:
        One record a caption; one with an error for a graph that breaks the format.

    Raises:
        FormatError: no such file, or no JSON object.

    Example:
        >>> import json, tempfile
        >>> path = Path(tempfile.mkdtemp()) / "sent2rolegraph.json"
        >>> nodes = {"ROOT": {"role": "ROOT", "spans": [0], "words": ["run"]}}
        >>> _ = path.write_text(json.dumps({"run": [nodes, []]}))
        >>> next(read_role_graphs(path)).graph.kind
        ('event',)
    """
    for caption, content in read_json(path, "[nodes, edges] by caption").items():
        text = safe_text(caption)
        try:
            words, graph = role_graph_from_json(content)
        except FormatError as error:
            yield CaptionGraph(text=text, error=str(error))
        else:
            yield CaptionGraph(text=text, words=words, graph=graph)
