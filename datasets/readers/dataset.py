"""`Visual` and `DataSet`: what every reader of a data set returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from graphmatch.datasets.captions import Caption
from graphmatch.errors import ConfigError, check_choice

if TYPE_CHECKING:
    from graphmatch.regions.base import Regions


@dataclass(frozen=True, slots=True, kw_only=True)
class Visual:
    """An image or a video as the annotation of a data set describes it.

    Args:
        id: its id in the data set.
        kind: `"image"` or `"video"`.
        split: part of the data set, such as `"train"`; None if nothing says so, or if it is in
            several parts, of which its captions tell.
        file: name of its file, if the annotation gives one.
        size: width and height in pixels.
        duration: seconds.
        frames: number of frames.
        fps: frames a second.
        label: class of the whole, an index into `DataSet.labels`.
        regions: annotated boxes; labels are indices into `DataSet.labels`.
        error: why it cannot be used.
    """

    id: str
    kind: Literal["image", "video"]
    split: str | None = None
    file: str | None = None
    size: tuple[int, int] | None = None
    duration: float | None = None
    frames: int | None = None
    fps: float | None = None
    label: int | None = None
    regions: Regions | None = None
    error: str | None = None


class Counts(NamedTuple):
    """Records of a split, those with an error included; and how many have one."""

    visuals: int
    captions: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class DataSet:
    """Images or videos and the captions that describe them.

    Records that cannot be used are kept with their error; `usable` leaves them out.

    Args:
        name: of the data set.
        visuals: images or videos in the order of the files.
        captions: captions in the order of the files; `Caption.owner` is the id of a visual.
        labels: names of the classes that `Visual.label` and `Visual.regions` count.

    Example:
        >>> data = DataSet(
        ...     name="tiny",
        ...     visuals=(Visual(id="v", kind="video", split="train", duration=9.5),),
        ...     captions=(
        ...         Caption(id="1", owner="v", text="A dog runs.", moment=(2.0, 4.5)),
        ...         Caption(id="2", owner="v", text="A dog sleeps.", moment=(7.0, 5.0)),
        ...     ),
        ... ).check()
        >>> data.splits
        {'train': Counts(visuals=1, captions=2, errors=1)}
        >>> data.errors[0].id, data.errors[0].error
        ('2', 'moment: expected start <= end (got 7 to 5 s)')
        >>> [caption.text for caption in data.usable().captions_of("v")]
        ['A dog runs.']
    """

    name: str
    visuals: tuple[Visual, ...]
    captions: tuple[Caption, ...]
    labels: tuple[str, ...] = ()
    _places: dict[str, int] = field(init=False)
    _captions: dict[str, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        places: dict[str, int] = {}
        for place, visual in enumerate(self.visuals):
            places.setdefault(visual.id, place)
        captions: dict[str, list[int]] = {}
        for place, caption in enumerate(self.captions):
            if caption.owner is not None:
                captions.setdefault(caption.owner, []).append(place)
        object.__setattr__(self, "_places", places)
        object.__setattr__(self, "_captions", captions)

    def visual(self, id: str) -> Visual:
        """An image or video by its id.

        Args:
            id: its id.

        Returns:
            The visual; the first one if the id is there twice.

        Raises:
            KeyError: no such id.
        """
        if id not in self._places:
            raise KeyError(f"no image or video with id {id!r} in {self.name}")
        return self.visuals[self._places[id]]

    def captions_of(self, id: str) -> tuple[Caption, ...]:
        """Captions of an image or video, in their order.

        Args:
            id: id of the visual.

        Returns:
            Its captions, those with an error included.

        Raises:
            KeyError: no such id.
        """
        self.visual(id)
        return tuple(self.captions[place] for place in self._captions.get(id, ()))

    @property
    def splits(self) -> dict[str, Counts]:
        """Counts by the name of the split, in the order in which they occur."""
        visuals: dict[str, list[Visual]] = {}
        for visual in self.visuals:
            for name in self._splits_of(visual):
                visuals.setdefault(name, []).append(visual)
        captions: dict[str, list[Caption]] = {}
        for caption in self.captions:
            if split := self._split_of(caption):
                captions.setdefault(split, []).append(caption)
        counts = {}
        for name in {**visuals, **captions}:
            records = [*visuals.get(name, ()), *captions.get(name, ())]
            errors = sum(record.error is not None for record in records)
            counts[name] = Counts(len(visuals.get(name, ())), len(captions.get(name, ())), errors)
        return counts

    def split(self, *names: str) -> DataSet:
        """One split, or several together.

        A visual belongs to its own split; one without to those of its captions. A caption without
        a split of its own belongs to that of its owner.

        Args:
            names: names of splits.

        Returns:
            Their visuals and captions, in order.

        Raises:
            ConfigError: no such split.
        """
        valid = self.splits
        for name in names:
            if not valid:
                raise ConfigError(f"{self.name} was read without splits (got {name!r})")
            check_choice("split", name, valid)
        captions = tuple(c for c in self.captions if self._split_of(c) in names)
        visuals = tuple(v for v in self.visuals if {*names} & {*self._splits_of(v)})
        return replace(self, visuals=visuals, captions=captions)

    @property
    def errors(self) -> tuple[Visual | Caption, ...]:
        """Records that cannot be used: visuals, then captions."""
        records: tuple[Visual | Caption, ...] = (*self.visuals, *self.captions)
        return tuple(record for record in records if record.error is not None)

    def usable(self) -> DataSet:
        """The data set without records that have an error and captions of visuals that have one."""
        visuals = tuple(visual for visual in self.visuals if visual.error is None)
        ids = {visual.id for visual in visuals}
        captions = tuple(c for c in self.captions if c.error is None and c.owner in ids)
        return replace(self, visuals=visuals, captions=captions)

    def check(self, *, clip_moments: bool = False) -> DataSet:
        """The data set with an error on every record that cannot be used.

        A visual needs an id of its own, a positive size and duration and a label that has a name; a
        caption needs text, an id of its own, an owner in the data set, of no other split, and a
        moment inside the video.

        Args:
            clip_moments: let moments that end after their video end with it, as the official
                loaders of the grounding data sets do. If not set, that is an error.

        Returns:
            The checked data set; errors that were there are kept.
        """
        captions = tuple(self._checked_captions(clip_moments))
        return replace(self, visuals=tuple(self._checked_visuals()), captions=captions)

    def _checked_visuals(self) -> Iterator[Visual]:
        for place, visual in enumerate(self.visuals):
            error = visual.error
            if error is None and self._places[visual.id] != place:
                error = f"duplicate id {visual.id!r}: an earlier {visual.kind} has it"
            elif error is None and visual.size is not None and min(visual.size) <= 0:
                error = f"size: expected positive numbers (got {visual.size})"
            elif error is None and visual.duration is not None and not visual.duration > 0:
                error = f"duration: expected a positive number of seconds (got {visual.duration})"
            elif error is None and self.labels and (visual.label or 0) >= len(self.labels):
                error = f"label: expected below {len(self.labels)} (got {visual.label})"
            yield visual if error == visual.error else replace(visual, error=error)

    def _checked_captions(self, clip_moments: bool) -> Iterator[Caption]:
        ids: set[str] = set()
        for caption in self.captions:
            owner, moment = self._owner(caption), caption.moment
            error = caption.error or _caption_problem(caption, owner, clip_moments)
            if error is None and caption.id in ids:
                error = f"duplicate id {caption.id!r}: an earlier caption has it"
            ids.add(caption.id)
            if error is None and moment and owner and owner.duration is not None:
                moment = moment[0], min(moment[1], owner.duration)
            unchanged = error == caption.error and moment == caption.moment
            yield caption if unchanged else replace(caption, error=error, moment=moment)

    def _owner(self, caption: Caption) -> Visual | None:
        place = None if caption.owner is None else self._places.get(caption.owner)
        return None if place is None else self.visuals[place]

    def _split_of(self, caption: Caption) -> str | None:
        owner = self._owner(caption)
        return caption.split or (None if owner is None else owner.split)

    def _splits_of(self, visual: Visual) -> list[str]:
        if visual.split is not None:
            return [visual.split]
        own = (self.captions[place].split for place in self._captions.get(visual.id, ()))
        return [split for split in dict.fromkeys(own) if split is not None]

    def __repr__(self) -> str:
        splits = "".join(f", {name} {count[0]}/{count[1]}" for name, count in self.splits.items())
        return (
            f"DataSet({self.name}: {len(self.visuals)} visuals, {len(self.captions)} captions"
            f"{splits}; {len(self.errors)} errors)"
        )


def _caption_problem(caption: Caption, owner: Visual | None, clip_moments: bool) -> str | None:
    if caption.owner is None:
        return "expected the id of an image or video (got none)"
    if owner is None:
        return f"owner {caption.owner!r}: no such image or video"
    if not caption.text.strip():
        return "expected a caption (got an empty one)"
    if None not in (caption.split, owner.split) and caption.split != owner.split:
        return f"split {caption.split!r}: its {owner.kind} is in {owner.split!r}"
    if caption.moment is None:
        return None
    start, end = caption.moment
    if not start <= end:
        return f"moment: expected start <= end (got {start:g} to {end:g} s)"
    last = float("inf") if owner.duration is None else owner.duration
    if not 0 <= start <= last or (end > last and not clip_moments):
        return f"moment: expected it inside 0 to {last:g} s (got {start:g} to {end:g} s)"
    return None
