"""`Projection`: long features to short ones, by a linear map fitted elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from graphmatch.errors import FormatError, GraphError
from graphmatch.regions.base import fingerprint


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projection:
    """`(x - mean) basis / scale`: principal components with one scale for all of them.

    Args:
        mean: [F] float32 of the features that it was fitted on.
        basis: [F, K] float32, a component a column.
        scale: one number, so that the results are about 1 in size.

    Raises:
        FormatError: other shapes, numbers that are not finite, a scale of zero.

    Example:
        >>> half = Projection(mean=torch.zeros(3), basis=torch.eye(3)[:, :2], scale=2.0)
        >>> half(torch.tensor([[2.0, 4.0, 6.0]])).tolist()
        [[1.0, 2.0]]
    """

    mean: Tensor
    basis: Tensor
    scale: float

    def __post_init__(self) -> None:
        mean, basis = self.mean, self.basis
        if mean.dim() != 1 or basis.dim() != 2 or mean.shape != basis.shape[:1]:
            raise FormatError(
                "expected mean [F] and basis [F, K] "
                f"(got mean {list(mean.shape)} and basis {list(basis.shape)})"
            )
        numbers = torch.cat([mean, basis.flatten(), torch.tensor([self.scale])])
        if not numbers.isfinite().all() or self.scale == 0:
            raise FormatError("expected a finite mean, basis and scale, and the scale not zero")

    @property
    def width(self) -> int:
        """K, numbers of a projected feature."""
        return self.basis.size(1)

    @property
    def version(self) -> str:
        """A digest of all its numbers."""
        arrays = [value.cpu().numpy().tobytes() for value in (self.mean, self.basis)]
        return fingerprint(*arrays, list(self.basis.shape), self.scale)

    def __call__(self, feature: Tensor) -> Tensor:
        """Project features.

        Args:
            feature: [N, F] float32, on any device.

        Returns:
            [N, K], differentiable.

        Raises:
            GraphError: features of another width.
        """
        if feature.size(-1) != self.mean.size(0):
            raise GraphError(
                f"the projection expects {self.mean.size(0)} numbers a feature "
                f"(got {feature.size(-1)})"
            )
        mean, basis = self.mean.to(feature.device), self.basis.to(feature.device)
        return (feature - mean) @ basis / self.scale


def load_projection(path: str | Path) -> Projection:
    """A projection from a NumPy archive.

    Args:
        path: an `.npz` file with the arrays `mean` [F], `basis` [F, K] and `scale` [].
            Nothing pickled is read.

    Returns:
        The projection, in float32.

    Raises:
        FormatError: no such archive, or an array is missing, misshaped or not finite.
        OSError: the file cannot be opened.
    """
    # opened here, because NumPy leaves a damaged archive open
    with Path(path).open("rb") as stream:
        try:
            with np.load(stream, allow_pickle=False) as archive:
                mean, basis, scale = (
                    torch.from_numpy(np.asarray(archive[name], dtype=np.float32))
                    for name in ("mean", "basis", "scale")
                )
            return Projection(mean=mean, basis=basis, scale=scale.item())
        except Exception as error:  # NumPy and zipfile report damage in a dozen types
            raise FormatError(
                f"{path}: expected an .npz file with arrays mean, basis and scale ({error})"
            ) from error
