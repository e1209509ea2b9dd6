"""DRN's batches: queries, the clips of their videos, and the moments that they describe.

Source: DRN (CVPR 2020); official code, the Charades-STA data set and its collation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from graphmatch.datasets.treebank import treebank_words
from graphmatch.errors import ConfigError, GraphError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MomentItem:
    """A query, its video and the moment that it describes.

    Args:
        word: [L] int64 word ids.
        feature: [T, F] features of the video's clips, see `pool_clips`.
        position: [T, 2] float64 where they lie, see `clip_positions`.
        frames: frames of the video.
        moment: [2] float64, see `moment_share`.
    """

    word: Tensor
    feature: Tensor
    position: Tensor
    frames: int
    moment: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MomentBatch:
    """B items, the longest query first.

    Args:
        word: [B, L] int64 word ids, 0 after a query's words.
        length: [B] int64 words of each query.
        feature: [B, T, F], 0 after a video's clips.
        position: [B, T, 2] float64, 0 after a video's clips.
        clips: [B] int64 clips of each video.
        frames: [B] int64 frames of each video.
        moment: [B, 2] float64.
        order: [B] int64 which of the items each one is.
    """

    word: Tensor
    length: Tensor
    feature: Tensor
    position: Tensor
    clips: Tensor
    frames: Tensor
    moment: Tensor
    order: Tensor


def query_words(sentence: str) -> list[str]:
    """Words of a query: every "." is removed, then the Treebank's rules split it.

    Args:
        sentence: the query, lower case as the data set has it.

    Returns:
        L words, as DRN's vocabulary numbers them.

    Example:
        >>> query_words("person closes the door.  they don't laugh.")
        ['person', 'closes', 'the', 'door', 'they', 'do', "n't", 'laugh']
    """
    return treebank_words(sentence.replace(".", ""))


def moment_share(start: float, end: float, duration: float) -> Tensor:
    """A moment as shares of the video: (start / d, min(end, d) / d).

    The start is not cut, as in the official code: one past the end gives a share above 1.

    Args:
        start: seconds.
        end: seconds.
        duration: d, seconds.

    Returns:
        [2] float64.

    Raises:
        ConfigError: a duration that is not positive.

    Example:
        >>> moment_share(5.0, 12.0, 10.0).tolist()
        [0.5, 1.0]
    """
    if not duration > 0:
        raise ConfigError(f"expected a duration above 0 seconds (got {duration})")
    return torch.tensor([start / duration, min(end, duration) / duration], dtype=torch.float64)


def collate_moments(items: Sequence[MomentItem]) -> MomentBatch:
    """A batch of items, sorted by falling length of the query; equal lengths keep their order.

    Args:
        items: at least one, all with features of one width.

    Returns:
        The batch.

    Raises:
        GraphError: no item, or one whose tensors do not fit together.

    Example:
        >>> item = MomentItem(word=torch.tensor([4]), feature=torch.zeros(2, 3), frames=9,
        ...     position=torch.zeros(2, 2), moment=moment_share(0.0, 1.0, 2.0))
        >>> collate_moments([item, item]).word.tolist()
        [[4], [4]]
    """
    if not items:
        raise GraphError("expected at least one item (got none)")
    width = items[0].feature.shape[-1]
    for item in items:
        clips = item.feature.shape[0]
        shapes = [[*tensor.shape] for tensor in (item.word, item.feature, item.position)]
        if shapes != [[item.word.numel()], [clips, width], [clips, 2]]:
            raise GraphError(
                f"expected word [L], feature [T, {width}] and position [T, 2] (got {shapes})"
            )
    order = sorted(range(len(items)), key=lambda number: -len(items[number].word))
    items = [items[number] for number in order]

    def pad(tensors: list[Tensor]) -> Tensor:
        return pad_sequence(tensors, batch_first=True)

    return MomentBatch(
        word=pad([item.word for item in items]),  # [B, L]
        length=torch.tensor([len(item.word) for item in items]),
        feature=pad([item.feature for item in items]),  # [B, T, F]
        position=pad([item.position for item in items]),  # [B, T, 2]
        clips=torch.tensor([len(item.feature) for item in items]),
        frames=torch.tensor([item.frames for item in items]),
        moment=torch.stack([item.moment for item in items]),  # [B, 2]
        order=torch.tensor(order),
    )
