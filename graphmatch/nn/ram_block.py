"""Recurrent attention memory: the block that IMRAM repeats.

Source: IMRAM (CVPR 2020) section 3.2, official code. A block takes queries x_i (the memory of the
step before) and contexts y_j. Its attention unit gives every query an attended context,

    c_i = sum_j a_ij y_j, a_ij as in `graphmatch.nn.cross_attention`

and its memory distillation unit makes the memory of the next step of both,

    g_i = sigmoid(W_g [x_i ; c_i] + b_g), o_i = tanh(W_o [x_i ; c_i] + b_o)
    x*_i = g_i * x_i + (1 - g_i) * o_i

and, as an option, divides it by its length. The paper also speaks of other ways to aggregate; the
official code has this one.

With W = [W_x, W_c] and weights a_ij that sum to 1, W [x_i ; c_i] + b = W_x x_i + sum_j a_ij (W_c
y_j + b): a context is projected once for all queries, and c_i itself is never needed. `mix` and
`distil` compute a step so; `RAMBlock.forward` computes it as it is written above.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from graphmatch.errors import ConfigError
from graphmatch.nn.l2norm import l2_normalise


def mix(
    memory_part: Tensor, weights: Tensor, context_part: Tensor, *, reuse: bool = False
) -> Tensor:
    """W [x ; c] + b from the projections of memory and contexts.

    Args:
        memory_part: [C, k, 2d] W_x x of k query nodes for each of C context items.
        weights: [C, m, k] weights of m context nodes, which sum to 1 over them.
        context_part: [C, m, 2d] W_c y + b.
        reuse: whether the result may take the place of `memory_part`.

    Returns:
        [C, k, 2d], in the dtype of the projections.

    Example:
        >>> mix(torch.ones(1, 1, 2), torch.tensor([[[0.5], [0.5]]]), torch.eye(2)[None])
        tensor([[[1.5000, 1.5000]]])
    """
    attention = weights.transpose(1, 2).to(context_part.dtype)  # [C, k, m]
    if reuse:
        return memory_part.baddbmm_(attention, context_part)
    return torch.baddbmm(memory_part, attention, context_part)


def distil(memory: Tensor, mixed: Tensor, *, normalise: bool = False) -> Tensor:
    """Memory of the next step: x* = g * x + (1 - g) * o.

    Args:
        memory: [..., d] memory x.
        mixed: [..., 2d] W [x ; c] + b, first for the gate g, then for the output o. Overwritten if
            it needs no gradient.
        normalise: whether x* is divided by its length.

    Returns:
        [..., d].

    Example:
        >>> distil(torch.tensor([1.0]), torch.tensor([0.0, 0.0]))
        tensor([0.5000])
    """
    gate, output = mixed.chunk(2, dim=-1)  # [..., d] each
    if torch.is_grad_enabled() and mixed.requires_grad:
        gate, output = gate.sigmoid(), output.tanh()
    elif mixed.dtype == torch.float32 and mixed.device.type == "cpu":
        # tanh(a) = 2 sigmoid(2a) - 1, exact to 1e-7, and torch's sigmoid is several times as fast
        output.mul_(2)
        mixed.sigmoid_()
        output.mul_(2).sub_(1)
    else:
        gate, output = gate.sigmoid_(), output.tanh_()
    updated = torch.lerp(output, memory.to(output.dtype), gate)
    return l2_normalise(updated) if normalise else updated


class RAMBlock(nn.Module):
    """Memory distillation unit of IMRAM; see the head of this file.

    Parameters: `gate` and `output`, linear maps from [x ; c] (2d) to d, as torch starts them.

    Args:
        size: d, numbers of a node.
        normalise: whether the memory is divided by its length.

    Raises:
        ConfigError: a size below 1.

    Example:
        >>> block = RAMBlock(4)
        >>> block(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4)).shape
        torch.Size([2, 3, 4])
        >>> block
        RAMBlock(
          size=4, normalise=False
          (gate): Linear(in_features=8, out_features=4, bias=True)
          (output): Linear(in_features=8, out_features=4, bias=True)
        )
    """

    def __init__(self, size: int, *, normalise: bool = False) -> None:
        super().__init__()
        if size < 1:
            raise ConfigError(f"size: expected at least 1 (got {size})")
        self.size = size
        self.normalise = normalise
        self.gate = nn.Linear(2 * size, size)
        self.output = nn.Linear(2 * size, size)

    def forward(self, memory: Tensor, attended: Tensor) -> Tensor:
        """Memory of the next step, as the paper writes it.

        Args:
            memory: [..., d] memory x.
            attended: [..., d] attended contexts c.

        Returns:
            [..., d].
        """
        both = torch.cat([memory, attended], dim=-1)  # [..., 2d]
        weight = self._weight(slice(None), both.dtype)
        mixed = functional.linear(both, weight, self._bias(both.dtype))  # [..., 2d]
        return distil(memory, mixed, normalise=self.normalise)

    def memory_weight(self, dtype: torch.dtype) -> Tensor:
        """W_x [2d, d] of gate and output; a copy."""
        return self._weight(slice(self.size), dtype)

    def project_memory(self, memory: Tensor) -> Tensor:
        """W_x x, the part of the memory before the first step.

        Args:
            memory: [..., d].

        Returns:
            [..., 2d], in the dtype of `memory`.
        """
        return functional.linear(memory, self.memory_weight(memory.dtype))

    def project_contexts(self, contexts: Tensor) -> Tensor:
        """W_c y + b, the part of the contexts in every step.

        Args:
            contexts: [..., d].

        Returns:
            [..., 2d], in the dtype of `contexts`.
        """
        weight = self._weight(slice(self.size, None), contexts.dtype)
        return functional.linear(contexts, weight, self._bias(contexts.dtype))

    def extra_repr(self) -> str:
        """Size and normalisation."""
        return f"size={self.size}, normalise={self.normalise}"

    def _weight(self, columns: slice, dtype: torch.dtype) -> Tensor:
        """Some columns of [W_g ; W_o] [2d, 2d]; a copy."""
        return torch.cat([layer.weight[:, columns] for layer in (self.gate, self.output)]).to(dtype)

    def _bias(self, dtype: torch.dtype) -> Tensor:
        return torch.cat([self.gate.bias, self.output.bias]).to(dtype)
