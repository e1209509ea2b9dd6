"""IMRAM's recurrent attention written out: every attended context and memory, for pictures.

Source: IMRAM (CVPR 2020) section 3.2; `graphmatch.nn.ram_block` has the equations and
`graphmatch.nn.ram_scores` what is fast.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphmatch.encoded import Encoded
from graphmatch.nn.block_cosine import block_cosine
from graphmatch.nn.cross_attention import FirstNorm, attention_weights
from graphmatch.nn.ram_block import RAMBlock


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RAMStep:
    """A step in every pair of C context items (m nodes) and Q query items (n nodes).

    Args:
        memory: [C, Q, n, d] memory of the queries that enters the step.
        attention: [C, Q, m, n], sums to 1 over the contexts.
        attended: [C, Q, n, d] attended context of each query.
        cosine: [C, Q, n] cosine of each original query with its attended context.
        scores: [C, Q] mean cosine.

    All are 0 for padding.
    """

    memory: Tensor
    attention: Tensor
    attended: Tensor
    cosine: Tensor
    scores: Tensor

    def swap(self) -> RAMStep:
        """The step with the first two axes exchanged: [Q, C, ...]."""
        return RAMStep(
            memory=self.memory.transpose(0, 1),
            attention=self.attention.transpose(0, 1),
            attended=self.attended.transpose(0, 1),
            cosine=self.cosine.transpose(0, 1),
            scores=self.scores.transpose(0, 1),
        )


def ram_steps(
    contexts: Encoded,
    queries: Encoded,
    *,
    block: RAMBlock,
    steps: int,
    scale: float,
    first_norm: FirstNorm = "clipped_l2norm",
) -> tuple[RAMStep, ...]:
    """All steps of one direction.

    Args:
        contexts: C items, m nodes each.
        queries: Q items, n nodes each.
        block: weights of the direction.
        steps: K.
        scale: inverse temperature of the attention.
        first_norm: normalisation of products, see `attention_weights`.

    Returns:
        K steps. Allocates several times C Q n d numbers a step: for few pairs.

    Example:
        >>> items = Encoded(nodes=torch.randn(2, 3, 4), mask=torch.ones(2, 3) > 0)
        >>> [step.scores.shape for step in ram_steps(items, items, block=RAMBlock(4), steps=2,
        ...                                          scale=9.0)]
        [torch.Size([2, 2]), torch.Size([2, 2])]
    """
    dtype = torch.promote_types(queries.nodes.dtype, torch.float32)
    nodes, real = contexts.nodes.to(dtype), queries.mask.unsqueeze(-1)  # [C, m, d], [Q, n, 1]
    original = queries.nodes.to(dtype).expand(len(contexts), -1, -1, -1)  # [C, Q, n, d]
    memory, result = original, []
    for _ in range(steps):
        attention = attention_weights(
            torch.einsum("cmd,cqnd->cmqn", nodes, memory),
            scale,
            first_norm=first_norm,
            context_mask=contexts.mask,
            query_mask=queries.mask,
            normalise=True,
        )
        attention = attention.transpose(1, 2) * real.mT  # [C, Q, m, n]
        attended = torch.einsum("cqmn,cmd->cqnd", attention, nodes)
        cosine = block_cosine(original, attended, 1).squeeze(-1)  # [C, Q, n]
        step = RAMStep(
            memory=memory,
            attention=attention,
            attended=attended,
            cosine=cosine,
            scores=cosine.sum(dim=-1) / queries.counts.clamp(min=1),
        )
        result.append(step)
        memory = block(memory, attended) * real
    return tuple(result)
