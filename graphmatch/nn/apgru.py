"""`APGRU`: a recurrent network over behaviours that attention opens and properties steer.

Sources: MARN (WWW 2020) section 3 names it; the equations combine the models that it cites, AUGRU
of DIEN (AAAI 2019, as its paper) and the property-gated LSTM of DUPN (KDD 2018). With item x_i,
property p_i and attention a_i of behaviour i:

    u_i  = sigmoid(W_u x_i + P_u p_i + U_u h_(i-1) + b_u)
    r_i  = sigmoid(W_r x_i + P_r p_i + U_r h_(i-1) + b_r)
    n_i  = tanh   (W_n x_i + b_n + r_i * (U_n h_(i-1)))
    h_i  = (1 - a_i u_i) * h_(i-1) + a_i u_i * n_i,    h_0 = 0

At padding a_i is 0, and h_i = h_(i-1). Only U h is inside the loop over time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class APGRU(nn.Module):
    """The network; weights in rows of update, reset, candidate.

    Args:
        size: d, numbers of an item.
        hidden: H, numbers of the state.
        property_size: d_p, numbers of a property; 0 for a network without properties (AUGRU).

    Example:
        >>> gru = APGRU(4, hidden=3, property_size=2)
        >>> gates = gru.gates(torch.randn(2, 5, 4), torch.randn(2, 5, 2))
        >>> gru(gates, torch.rand(2, 5))[1].shape
        torch.Size([2, 3])
    """

    def __init__(self, size: int, *, hidden: int, property_size: int = 0) -> None:
        super().__init__()
        self.weight_x = nn.Parameter(_blocks(3, hidden, size))
        self.weight_p = nn.Parameter(_blocks(2, hidden, property_size)) if property_size else None
        self.weight_h = nn.Parameter(_blocks(3, hidden, hidden))
        self.bias = nn.Parameter(torch.zeros(3 * hidden))

    def items(self, x: Tensor) -> Tensor:
        """What items give to the gates: W x + b.

        Args:
            x: [..., d] items; each distinct one needs this only once.

        Returns:
            [..., 3H].
        """
        return nn.functional.linear(x, self.weight_x, self.bias)

    def gates(self, x: Tensor, properties: Tensor | None = None) -> Tensor:
        """What behaviours give to the gates: W x + P p + b.

        Args:
            x: [..., d] items.
            properties: [..., d_p] properties.

        Returns:
            [..., 3H].
        """
        return self.steer(self.items(x), properties)

    def steer(self, items: Tensor, properties: Tensor | None) -> Tensor:
        """Add P p to what items give.

        Args:
            items: [..., 3H], see `items`.
            properties: [..., d_p] or None.

        Returns:
            [..., 3H]; the candidate state does not depend on properties.
        """
        if self.weight_p is None or properties is None:
            return items
        # rows of zeros for the candidate cost less than taking it apart
        weight = nn.functional.pad(self.weight_p, (0, 0, 0, self.weight_h.size(1)))  # [3H, d_p]
        flat = torch.addmm(items.flatten(0, -2), properties.flatten(0, -2), weight.T)
        return flat.view(items.shape)

    def forward(self, gates: Tensor, attention: Tensor) -> tuple[Tensor, Tensor]:
        """Run over time.

        Args:
            gates: [B, T, 3H].
            attention: [B, T], 0 at padding.

        Returns:
            States [B, T, H] after each behaviour and the last state [B, H]; zero if T is 0.
        """
        return gated_states(gates, attention, self.weight_h)

    @torch.no_grad()
    def last(
        self, items: Tensor, place: Tensor, attention: Tensor, properties: Tensor | None = None
    ) -> Tensor:
        """The last state, without gradients: nothing is held for all behaviours at once.

        Args:
            items: [U, 3H], see `items`.
            place: [B, T] int64 places of the behaviours' items.
            attention: [B, T], 0 at padding.
            properties: [B, T, d_p] or None.

        Returns:
            [B, H].
        """
        weight = self.weight_h.T
        items, attention = items.to(weight.dtype), attention.to(weight.dtype).T.contiguous()
        hidden, places = weight.size(0), place.T.contiguous()
        gates_of_state = weight[:, : 2 * hidden].contiguous()  # [H, 2H]
        new_of_state = weight[:, 2 * hidden :].contiguous()  # [H, H]
        state = items.new_zeros(len(place), hidden)
        gates, new = items.new_empty(len(place), 3 * hidden), torch.empty_like(state)
        opened = gates[:, : 2 * hidden]
        update, reset = opened.chunk(2, dim=1)
        for time in range(len(places)):
            torch.index_select(items, 0, places[time], out=gates)
            if self.weight_p is not None and properties is not None:
                opened.addmm_(properties[:, time].to(weight.dtype), self.weight_p.T)
            opened.addmm_(state, gates_of_state).sigmoid_()
            torch.mm(state, new_of_state, out=new)
            new.mul_(reset).add_(gates[:, 2 * hidden :]).tanh_()
            update.mul_(attention[time].unsqueeze(1))
            state.addcmul_(update, new.sub_(state))
        return state

    @torch.no_grad()
    def rank(self, gates: Tensor, attention: Tensor) -> Tensor:
        """The last state for K candidates of one history, without gradients.

        Args:
            gates: [B, T, 3H], which all candidates share.
            attention: [B, K, T], 0 at padding.

        Returns:
            [B, K, H]. Holds a few tensors of [B, K, 3H].
        """
        hidden = self.weight_h.size(1)
        state = gates.new_zeros(*attention.shape[:2], hidden)
        for time in range(gates.size(1)):
            update, _, candidate, _ = step_gates(
                gates[:, time].unsqueeze(1), state, self.weight_h.T
            )
            state += attention[..., time].unsqueeze(-1) * update * (candidate - state)
        return state


def _blocks(count: int, rows: int, columns: int) -> Tensor:
    """Matrices on top of each other, each begun as one of its own."""
    return torch.cat(
        [nn.init.xavier_uniform_(torch.empty(rows, columns)) for _ in range(count)]
    )  # [count * rows, columns]


def step_gates(gates: Tensor, state: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
    """Update gate u, reset gate r, candidate state n and U_n h of one step.

    Args:
        gates: [..., 3H] W x + P p + b.
        state: [..., H] before the step.
        weight: [H, 3H] U, transposed.

    Returns:
        Four tensors [..., H].
    """
    hidden = state.size(-1)
    inner = state @ weight  # [..., 3H]
    opened = torch.sigmoid(gates[..., : 2 * hidden] + inner[..., : 2 * hidden])
    update, reset = opened.chunk(2, dim=-1)
    own = inner[..., 2 * hidden :]
    candidate = torch.addcmul(gates[..., 2 * hidden :], reset, own).tanh_()
    return update, reset, candidate, own


def gated_states(gates: Tensor, attention: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """States of the recurrence above; its gradient takes one product for U over all times.

    Args:
        gates: [B, T, 3H] W x + P p + b.
        attention: [B, T], 0 at padding.
        weight: [3H, H] U.

    Returns:
        States [B, T, H] and the last one [B, H]. Keeps five tensors of [B, T, H] for the gradient.
    """
    gates, attention = gates.to(weight.dtype), attention.to(weight.dtype)  # under autocast
    states, last = _Recurrence.apply(gates.transpose(0, 1), attention.T, weight)  # type: ignore[no-untyped-call]
    return states.transpose(0, 1), last


class _Recurrence(torch.autograd.Function):
    """The loop over time, and its derivative by hand: time first, [T, B, ...]."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, attention: Tensor, weight: Tensor) -> Any:
        length, rows, hidden = gates.size(0), gates.size(1), weight.size(1)
        states = gates.new_zeros(length + 1, rows, hidden)
        inner = gates.new_empty(length, rows, 3 * hidden)  # U h, then u, r, U_n h
        candidates = gates.new_empty(length, rows, hidden)
        transposed = weight.T.contiguous()
        for time in range(length):
            state, now, candidate = states[time], inner[time], candidates[time]
            torch.mm(state, transposed, out=now)
            opened = now[:, : 2 * hidden]
            opened.add_(gates[time, :, : 2 * hidden]).sigmoid_()
            torch.addcmul(
                gates[time, :, 2 * hidden :],
                opened[:, hidden:],
                now[:, 2 * hidden :],
                out=candidate,
            ).tanh_()
            step = opened[:, :hidden] * attention[time].unsqueeze(1)
            torch.addcmul(state, step, candidate - state, out=states[time + 1])
        ctx.save_for_backward(states, inner, candidates, attention, weight)
        ctx.set_materialize_grads(False)
        return states[1:], states[-1].clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_states: Tensor | None, of_last: Tensor | None) -> Any:
        states, inner, candidates, attention, weight = ctx.saved_tensors
        length, rows, hidden = candidates.shape
        outer = torch.empty_like(inner)  # gradient of U h
        of_gates = torch.empty_like(inner)
        of_attention = torch.zeros_like(attention)
        carried = torch.zeros_like(states[0]) if of_last is None else of_last.clone()
        for time in range(length - 1, -1, -1):
            if of_states is not None:
                carried = carried + of_states[time]
            state, candidate = states[time], candidates[time]
            update, reset, own = inner[time].chunk(3, dim=-1)
            opened = attention[time].unsqueeze(1)
            moved = carried * (candidate - state)
            of_attention[time] = (moved * update).sum(dim=1)
            of_candidate = carried * update * opened * (1 - candidate * candidate)
            now, hoisted = outer[time], of_gates[time]
            now[:, :hidden] = moved * opened * update * (1 - update)
            now[:, hidden : 2 * hidden] = of_candidate * own * reset * (1 - reset)
            hoisted[:, : 2 * hidden] = now[:, : 2 * hidden]
            hoisted[:, 2 * hidden :] = of_candidate
            now[:, 2 * hidden :] = of_candidate * reset
            carried = torch.addmm(carried * (1 - update * opened), now, weight)
        if length:
            before = states[:-1].reshape(length * rows, hidden)
            of_weight = outer.view(length * rows, 3 * hidden).T @ before
        else:
            of_weight = torch.zeros_like(weight)
        return of_gates, of_attention, of_weight
