"""Gaussian kernel weights of polar edges: the visual graph of GSMN.

Source: GSMN (CVPR 2020), visual graph; official code, which has it from the graph layer of
Norcliffe-Brown et al. (2018). For an edge (rho, theta) and the kernel k

    g_k = exp(-(rho - mean_rho_k)^2 / 2 / (precision_rho_k^2 + 1e-14))
          * exp(-angle(theta, mean_theta_k)^2 / 2 / (precision_theta_k^2 + 1e-14))
    angle(a, b) = min(|a - b|, |2 pi - |a - b||)
    w_k = g_k / sum over the kernels l of g_l

so an edge's weights sum to 1 over the kernels, not over its neighbours. The "precisions" are
standard deviations.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from graphmatch.errors import ConfigError, GraphError, check_choice
from graphmatch.regions.polar import check_mask

Form = Literal["safe", "official"]


def gaussian_weights(
    polar: Tensor,
    mean_rho: Tensor,
    mean_theta: Tensor,
    *,
    precision_rho: Tensor,
    precision_theta: Tensor,
    mask: Tensor | None = None,
    form: Form = "safe",
) -> Tensor:
    """How much an edge belongs to each kernel.

    Both forms are the function above. "official" computes it as the released code does: values that
    are not a number become 0, and where every g_k underflows (in float32 about 14 standard
    deviations from every kernel) the weights are 0 / 0, not a number. "safe" is a softmax of the
    exponents and never underflows. The two are equal to rounding, as long as the official sum is
    finite and no denormal number.

    Args:
        polar: [..., 2] rho and theta (radians), padded [..., R, M, 2] or ragged [E, 2], see
            `graphmatch.regions.polar`.
        mean_rho: [K] or [K, 1], in the unit of rho.
        mean_theta: [K] or [K, 1] radians; need not lie in (-pi, pi].
        precision_rho: [K] or [K, 1] standard deviation, in the unit of rho, of either sign.
        precision_theta: [K] or [K, 1] standard deviation, radians, of either sign.
        mask: [...] bool, which edges are real; all if None.
        form: "safe" or "official".

    Returns:
        [..., K]; 0 where there is no edge. Allocates several times K numbers an edge. In memory
        kernels come first, which is faster on a CPU.

    Raises:
        ConfigError: an unknown form.
        GraphError: coordinates, mask or parameters of another shape.

    Example:
        >>> mean, one = torch.tensor([0.0, 1.0]), torch.ones(2)
        >>> gaussian_weights(torch.tensor([[0.5, 0.0], [0.0, 0.0]]), mean, torch.zeros(2),
        ...                  precision_rho=one, precision_theta=one)
        tensor([[0.5000, 0.5000],
                [0.6225, 0.3775]])
    """
    check_choice("form", form, ("safe", "official"))
    parameters = [mean_rho, mean_theta, precision_rho, precision_theta]
    if polar.dim() < 1 or polar.size(-1) != 2:
        raise GraphError(f"polar: expected shape [..., 2] (got {list(polar.shape)})")
    if any(value.numel() != mean_rho.numel() for value in parameters):
        raise GraphError(f"expected K values each (got {[list(v.shape) for v in parameters]})")
    if mask is not None:
        check_mask(mask, polar.shape[:-1])
    rho, theta = polar.movedim(-1, 0).contiguous()  # [...] each
    edge_axes = [1] * rho.dim()
    m_rho, m_theta, p_rho, p_theta = (value.reshape(-1, *edge_axes) for value in parameters)
    turn = (theta - m_theta).abs()  # [K, ...]
    angle = torch.minimum(turn, 2 * math.pi - turn)  # negative past a full turn, but only squared
    if form == "official":
        g_rho = torch.exp(-0.5 * (rho - m_rho) ** 2 / (1e-14 + p_rho**2))
        g_theta = torch.exp(-0.5 * angle**2 / (1e-14 + p_theta**2))
        product = g_rho * g_theta
        product = product.masked_fill(product.isnan(), 0)
        weight = product / product.sum(dim=0)
    else:
        # sqrt(p^2 + 1e-14) that does not overflow
        spread = [torch.hypot(value, torch.full_like(value, 1e-7)) for value in (p_rho, p_theta)]
        exponent = -0.5 * (((rho - m_rho) / spread[0]) ** 2 + (angle / spread[1]) ** 2)
        # a square may overflow; minus infinity for every kernel would be no softmax
        weight = exponent.clamp(min=torch.finfo(exponent.dtype).min).softmax(dim=0)
    if mask is not None:
        weight = weight.masked_fill(~mask, 0)
    return weight.movedim(0, -1)  # [..., K]


def neighbour_sum(
    weight: Tensor, edge_index: Tensor | None = None, *, nodes: int | None = None
) -> Tensor:
    """Sum of a region's edge weights over its neighbours: S_ik = sum_j w_ijk.

    In the official propagation, which gives a region its own vector from every neighbour, boxes act
    through these numbers alone. They sum to the number of neighbours over the kernels.

    Args:
        weight: [..., R, M, K] padded, 0 where there is no edge; or [E, K] with `edge_index`.
        edge_index: [2, E] int64, second row the region i; for ragged batches.
        nodes: N, number of regions; with `edge_index`.

    Returns:
        [..., R, K], or [N, K] with `edge_index`. On a GPU the order of a ragged sum, and so its
        rounding, may vary.

    Raises:
        ConfigError: only one of `edge_index` and `nodes`.

    Example:
        >>> neighbour_sum(torch.tensor([[[0.25, 0.75], [1.0, 0.0]]]))
        tensor([[1.2500, 0.7500]])
        >>> neighbour_sum(torch.tensor([[0.25, 0.75], [1.0, 0.0]]),
        ...               torch.tensor([[0, 1], [0, 0]]), nodes=2)
        tensor([[1.2500, 0.7500],
                [0.0000, 0.0000]])
    """
    if (edge_index is None) != (nodes is None):
        raise ConfigError("expected edge_index and nodes together, or neither of them")
    if edge_index is None or nodes is None:
        return weight.sum(dim=-2)  # [..., R, K]
    return weight.new_zeros(nodes, weight.size(-1)).index_add(0, edge_index[1], weight)  # [N, K]


class PolarKernels(nn.Module):
    """K learned Gaussian kernels over polar edges; see `gaussian_weights`.

    Parameters have the names and shapes of the official checkpoints and start as there:
    `mean_theta` uniform in (-pi, pi), `mean_rho`, `precision_rho` and `precision_theta` in (0, 1),
    all [K, 1]. Means are neither wrapped nor clamped in training.

    Args:
        count: K, number of kernels.
        form: "safe" or "official".

    Raises:
        ConfigError: a count below 1, an unknown form.

    Example:
        >>> kernels = PolarKernels(3)
        >>> kernels(torch.zeros(2, 5, 5, 2)).shape
        torch.Size([2, 5, 5, 3])
        >>> kernels
        PolarKernels(3, form='safe')
    """

    def __init__(self, count: int = 8, *, form: Form = "safe") -> None:
        super().__init__()
        if count < 1:
            raise ConfigError(f"count of kernels: expected at least 1 (got {count})")
        check_choice("form", form, ("safe", "official"))
        self.form = form
        self.mean_rho = nn.Parameter(torch.empty(count, 1))
        self.mean_theta = nn.Parameter(torch.empty(count, 1))
        self.precision_rho = nn.Parameter(torch.empty(count, 1))
        self.precision_theta = nn.Parameter(torch.empty(count, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        nn.init.uniform_(self.mean_theta, -math.pi, math.pi)
        for parameter in (self.mean_rho, self.precision_rho, self.precision_theta):
            nn.init.uniform_(parameter, 0, 1)

    def forward(self, polar: Tensor, mask: Tensor | None = None) -> Tensor:
        """Weights [..., K] of edges [..., 2], 0 where `mask` [...] says that there is none."""
        return gaussian_weights(
            polar,
            self.mean_rho,
            self.mean_theta,
            precision_rho=self.precision_rho,
            precision_theta=self.precision_theta,
            mask=mask,
            form=self.form,
        )

    def extra_repr(self) -> str:
        """Number of kernels and form."""
        return f"{len(self.mean_rho)}, form={self.form!r}"
