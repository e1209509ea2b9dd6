"""`frame_weights`: how much a node of a caption attends to each frame of a video.

Source: HGR (CVPR 2020) section 3.3; official code, `models/mlmatch.py`. With c_f the cosines of one
node with the frames f of one video,

    r_f = [c_f]+ / max(sqrt(sum over f of [c_f]+^2), 1e-10)
    phi_f = softmax over f of scale * r_f

Only nodes attend to frames, never frames to nodes, and both sums run over the frames.
"""

from __future__ import annotations

import torch
from torch import Tensor

from graphmatch.errors import GraphError

_LARGEST = 30.0  # exp(2 * 30) times the square of some thousand frames is a float32 number


def frame_weights(cosine: Tensor, log_prior: Tensor, scale: float) -> Tensor:
    """Weights exp(log_prior_f + scale * r_f) up to one positive factor for each video and node.

    The factor cancels in a cosine with the attended frames. As r_f <= 1, no maximum is subtracted
    for a moderate scale, and the official padding of minus infinity is a prior of 0. Weights that
    are divided by their sum over the frames are phi, if `log_prior` is 0 on real frames.

    Args:
        cosine: [V, F, N] cosines of F frames of V videos with N nodes; 0 where there is no frame.
        log_prior: [V, F] logarithm of what each weight is multiplied by; minus infinity where
            there is no frame.
        scale: inverse temperature, lambda of the paper; above 0.

    Returns:
        [V, F, N] weights from 0. A node without any positive cosine gets those of r_f = 0, and no
        gradient through r_f. Allocates a few tensors of this size.

    Raises:
        GraphError: tensors of another shape.

    Example:
        >>> weights = frame_weights(torch.tensor([[[0.6], [0.8], [-0.5]]]), torch.zeros(1, 3), 2.0)
        >>> (weights / weights.sum(dim=1, keepdim=True)).flatten()
        tensor([0.3580, 0.5341, 0.1078])
    """
    if cosine.dim() != 3 or log_prior.shape != cosine.shape[:2]:
        got = f"{list(cosine.shape)} and {list(log_prior.shape)}"
        raise GraphError(f"expected cosines [V, F, N] and log_prior [V, F] (got {got})")
    in_place = not (torch.is_grad_enabled() and (cosine.requires_grad or log_prior.requires_grad))
    positive = torch.relu(cosine)
    # not vector_norm, which is slow over this axis, and NaN would be the gradient of a root of 0
    length = (positive * positive).sum(dim=1, keepdim=True).clamp(min=1e-20).sqrt()  # [V, 1, N]
    prior = log_prior.unsqueeze(-1)  # [V, F, 1]
    factor = scale / length
    if in_place:
        logits = torch.addcmul(prior, positive, factor, out=positive)
    else:
        logits = torch.addcmul(prior, positive, factor)
    if scale > _LARGEST:
        top = logits.detach().amax(dim=1, keepdim=True)  # [V, 1, N]
        logits = logits - top.clamp(min=torch.finfo(top.dtype).min)
    return logits.exp_() if in_place else logits.exp()
