"""`explain_stored`, `save_explanation`: explanations of stored items, and pictures of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graphmatch.alignment_html import alignment_html
from graphmatch.alignment_picture import alignment_picture
from graphmatch.alignment_timeline import alignment_timeline
from graphmatch.canvas import FORMATS, save_canvases
from graphmatch.caption_set import CaptionSet, check_captions
from graphmatch.errors import ConfigError, check_choice
from graphmatch.explain import explain
from graphmatch.explanation import Explanation
from graphmatch.feature_pictures import find_frames, find_photos, look_up
from graphmatch.output import open_output

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from graphmatch.feature_store import FeatureStore
    from graphmatch.models.matcher import Matcher
    from graphmatch.rows import CaptionRow
    from graphmatch.vocab import Vocabulary


def explain_stored(
    matcher: Matcher,
    vocabulary: Vocabulary,
    row: CaptionRow,
    *,
    visuals: FeatureStore,
    key: str,
) -> Explanation:
    """Explain the score of a caption and an image or video of a store.

    Args:
        matcher: the matcher.
        vocabulary: of its checkpoint.
        row: the caption, with the graph that the matcher reads.
        visuals: regions or clips.
        key: id of the image or video.

    Returns:
        The explanation.

    Raises:
        ConfigError: an unknown id, a caption without the graph.
        FormatError: the image or video failed.
        GraphError: an item without regions, or features of another length than the matcher reads.
    """
    look_up(visuals, key)
    captions = CaptionSet.for_matcher([row], vocabulary, matcher)
    check_captions(captions)
    if row.parse is None:
        raise ConfigError(f"expected a caption with its words (caption {row.id!r} has none)")
    graph = visuals.graph(key)
    return explain(matcher, graph, captions[0], words=row.parse.words, labels=visuals.labels)


def find_node(found: Explanation, text: str) -> int:
    """The number of a caption's node.

    Args:
        found: the explanation.
        text: its word or phrase, in any case, or its number.

    Returns:
        The number of the first such node.

    Raises:
        ConfigError: no such node; with the nearest one.
    """
    numbers = {name.casefold(): number for number, name in enumerate(found.nodes[::-1])}
    wanted = text.casefold()
    if wanted not in numbers and text.isdecimal() and int(text) < len(found.nodes):
        return int(text)
    check_choice("word", wanted, numbers)
    return len(found.nodes) - 1 - numbers[wanted]


def save_explanation(
    path: str | Path,
    found: Explanation,
    *,
    key: str = "",
    sources: Sequence[str | Path] = (),
    top: int = 5,
    node: int | None = None,
    force: bool = False,
) -> None:
    """Draw an explanation to a file.

    Args:
        path: the file; its suffix says the format: svg, png or html.
        found: the explanation.
        key: id of the image or video.
        sources: where its photograph or video is; without any, boxes are on grey and a timeline
            has no frames.
        top: as `best_links`; not used for videos, whose phrases are all drawn.
        node: as `best_links`; of a video, only a page uses it.
        force: overwrite a file that is there.

    Raises:
        ConfigError: another suffix, a file that is there, sources that do not have the image or
            video, a missing library.
        FormatError: a damaged image or video.
        GraphError: a photograph of another size than the stored one.
    """
    path = Path(path)
    format = path.suffix.lower().lstrip(".")
    check_choice("picture format", format, FORMATS)
    photo = None
    frames: list[NDArray[np.uint8]] = []
    times: list[float] = []
    if sources and found.duration is not None:
        frames, times = find_frames(key, found.duration, sources)
    elif sources:
        photo = find_photos({key}, sources)[key]
    if format == "html":
        page = alignment_html(found, photo, frames=frames, times=times, top=top, node=node)
        with open_output(path, force=force) as stream:
            stream.write(page)
        return
    if found.duration is None:
        canvas = alignment_picture(found, photo, top=top, node=node)
    else:
        canvas = alignment_timeline(found, frames, times=times)
    save_canvases(path, [canvas], force=force)
