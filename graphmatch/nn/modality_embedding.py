"""`ModalityEmbedding`: one of an item's modalities as a vector.

Source: MARN (WWW 2020) section 3, modality embedding layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from graphmatch.config import check_counts
from graphmatch.errors import ConfigError, GraphError, check_choice
from graphmatch.nn.text_cnn import TextCNN

Kind = Literal["ids", "vector", "words", "buckets"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Modality:
    """What a modality consists of.

    | kind | items have | embedding |
    |---|---|---|
    | `"ids"`, `"buckets"` | F numbers of entries, 0 is missing | F tables, put together |
    | `"vector"` | D numbers | the numbers themselves, not trained |
    | `"words"` | L words, 0 is padding | `TextCNN` |

    Args:
        name: an identifier.
        kind: see the table.
        sizes: ids and buckets: entries of each table, 0 included. Vector: D, alone. Words: none,
            the model's vocabulary counts them.
        widths: ids and buckets: numbers of an entry of each table. Words: of a word, alone.
        kernels: words: sizes of the convolutions.
        channels: words: of each convolution.
        normalise: vector: divide by the length.

    Raises:
        ConfigError: impossible or contradicting values.

    Example:
        >>> Modality(name="ids", kind="ids", sizes=(63001, 801), widths=(32, 16)).size
        48
        >>> Modality(name="title", kind="words", widths=(64,)).size
        192
    """

    name: str
    kind: Kind
    sizes: tuple[int, ...] = ()
    widths: tuple[int, ...] = ()
    kernels: tuple[int, ...] = (2, 3, 4)
    channels: int = 64
    normalise: bool = False

    def __post_init__(self) -> None:
        check_choice("kind of modality", self.kind, get_args(Kind))
        if not self.name.isidentifier():
            raise ConfigError(f"name of a modality: expected an identifier (got {self.name!r})")
        check_counts(self, "channels")
        wanted = {"vector": (1, 0), "words": (0, 1)}.get(self.kind)
        got = (len(self.sizes), len(self.widths))
        if wanted is None and (got[0] != got[1] or not got[0]):
            raise ConfigError(f"{self.name}: expected as many widths as sizes (got {got})")
        if wanted is not None and got != wanted:
            raise ConfigError(f"{self.name}: expected {wanted} sizes and widths (got {got})")
        for name in ("sizes", "widths", "kernels"):
            if min(getattr(self, name), default=1) < 1:
                got_values = getattr(self, name)
                raise ConfigError(
                    f"{self.name}: {name}: expected numbers from 1 (got {got_values})"
                )
        if len(set(self.kernels)) != len(self.kernels) or not self.kernels:
            raise ConfigError(f"{self.name}: expected different kernels (got {self.kernels})")

    @property
    def size(self) -> int:
        """Numbers of the embedded modality."""
        if self.kind == "vector":
            return self.sizes[0]
        return self.channels * len(self.kernels) if self.kind == "words" else sum(self.widths)

    @property
    def columns(self) -> int | None:
        """Numbers that an item has; None if any."""
        return None if self.kind == "words" else len(self.widths) or self.sizes[0]


class ModalityEmbedding(nn.Module):
    """One modality of items as vectors.

    Args:
        modality: what it consists of.
        vocabulary: number of words.

    Example:
        >>> embed = ModalityEmbedding(Modality(name="ids", kind="ids", sizes=(9, 4), widths=(3, 2)))
        >>> embed(torch.tensor([[1, 0]]))[0, 3:]
        tensor([0., 0.], grad_fn=<SliceBackward0>)
    """

    def __init__(self, modality: Modality, vocabulary: int = 0) -> None:
        super().__init__()
        self.modality = modality
        self.title: TextCNN | None = None
        self.table = nn.ModuleList()
        if modality.kind == "words":
            self.title = TextCNN(
                vocabulary,
                width=modality.widths[0],
                kernels=modality.kernels,
                channels=modality.channels,
            )
        elif modality.kind != "vector":
            sizes = zip(modality.sizes, modality.widths, strict=True)
            self.table.extend(nn.Embedding(size, width, padding_idx=0) for size, width in sizes)

    def forward(self, value: Tensor) -> Tensor:
        """Embed items.

        Args:
            value: [U, ...] as the kind says.

        Returns:
            [U, size]; entry 0 of a table is the zero vector.

        Raises:
            GraphError: another number of columns, or another dtype.
        """
        check_columns(self.modality, value)
        if self.title is not None:
            return self.title(value)  # type: ignore[no-any-return]
        if self.modality.kind == "vector":
            return functional.normalize(value, dim=-1) if self.modality.normalise else value
        found = [table(value[:, place]) for place, table in enumerate(self.table)]
        return torch.cat(found, dim=1)


def check_columns(modality: Modality, value: Tensor) -> None:
    """Raise `GraphError` unless a tensor can be a modality; reads no values.

    Args:
        modality: what is expected.
        value: [U, ...].

    Raises:
        GraphError: another number of columns, or another dtype.
    """
    columns = modality.columns
    if value.dim() != 2 or (columns is not None and value.size(1) != columns):
        expected = "any" if columns is None else columns
        raise GraphError(
            f"modality {modality.name}: expected [U, {expected}] (got {list(value.shape)})"
        )
    if value.is_floating_point() != (modality.kind == "vector"):
        expected = "a floating dtype" if modality.kind == "vector" else "int64"
        raise GraphError(f"modality {modality.name}: expected {expected} (got {value.dtype})")
