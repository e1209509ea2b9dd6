"""Charades-STA: sentences with start and end in videos of everyday activities.

Source: Gao et al., "TALL", ICCV 2017; clipping as in DRN's official loader.
"""

from __future__ import annotations

from pathlib import Path

from graphmatch.datasets.captions import Caption
from graphmatch.datasets.dataset import DataSet, Visual
from graphmatch.datasets.splits import owner_splits
from graphmatch.datasets.text_files import Files, finite_number, read_json, read_lines, split_files
from graphmatch.errors import FormatError

_LINE = "VIDEO START END##sentence."


def read_charades_sta(
    captions: Files,
    *,
    durations: str | Path | None = None,
    fps: str | Path | None = None,
    frames: str | Path | None = None,
    clip_moments: bool = True,
) -> DataSet:
    """Charades-STA's sentences with their moments.

    Captions are named by split and line (`train:1`), videos by Charades' ids, such as `AO8RW`.

    Args:
        captions: `Charades_sta_train.txt` and `Charades_sta_test.txt`, by split.
        durations: `Charades_duration.json`, seconds by video; without, videos have no duration.
        fps: `Charades_fps_dict.json`, frames a second by video.
        frames: `Charades_frames_info.json`, number of frames by video.
        clip_moments: let a moment that ends after its video end with it, as the official loader
            does (1,768 of the training lines); if not set, that is an error.

    Returns:
        The videos that have a sentence, and the sentences. The four training lines whose start
        is after their end have an error; so do lines of another form and videos without a
        duration.

    Raises:
        FormatError: a file is missing, or has no line of the form, or is no JSON object.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "train.txt").write_text("AO8RW 0.0 6.9##a person is reading.")
        >>> _ = (folder / "seconds.json").write_text('{"AO8RW": 5.5}')
        >>> data = read_charades_sta({"train": folder / "train.txt"},
        ...                          durations=folder / "seconds.json")
        >>> data.captions[0].moment
        (0.0, 5.5)
    """
    found = [c for split, path in split_files(captions) for c in _captions(path, split)]
    seconds = {} if durations is None else read_json(durations, "seconds by video")
    rates = {} if fps is None else read_json(fps, "frames a second by video")
    counts = {} if frames is None else read_json(frames, "number of frames by video")
    visuals = []
    for video, split in owner_splits(found).items():
        missing = None if durations is None else f"no seconds in {Path(durations).name}"
        duration, count = finite_number(seconds.get(video)), finite_number(counts.get(video))
        visuals.append(
            Visual(
                id=video,
                kind="video",
                split=split,
                duration=duration,
                frames=None if count is None else int(count),
                fps=finite_number(rates.get(video)),
                error=missing if duration is None else None,
            )
        )
    data = DataSet(name="charades_sta", visuals=tuple(visuals), captions=tuple(found))
    return data.check(clip_moments=clip_moments)


def _captions(path: str | Path, split: str | None) -> list[Caption]:
    found = []
    for number, line, error in read_lines(path):
        id = str(number) if split is None else f"{split}:{number}"
        place, mark, text = line.partition("##")
        video, *times = place.split() or [""]
        moment = tuple(number for number in map(finite_number, times) if number is not None)
        if error is None and mark and video and len(moment) == len(times) == 2:
            found.append(Caption(id=id, owner=video, text=text, split=split, moment=moment))
        else:
            error = error or f"expected `{_LINE}`"
            found.append(Caption(id=id, text=line, split=split, error=error))
    if all(caption.error is not None for caption in found):
        raise FormatError(f"{path}: expected lines `{_LINE}` (got none)")
    return found
