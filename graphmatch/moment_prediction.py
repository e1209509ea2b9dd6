"""`predict_moments`: moments of all queries of a set; each video is encoded once."""

from __future__ import annotations

import copy

import torch

from graphmatch.errors import check_choice
from graphmatch.graphs.batch import batch_graphs
from graphmatch.models.drn import DRN
from graphmatch.moment_decoding import Moments
from graphmatch.moment_set import MomentSet

VIDEOS = 64
"""Videos whose clips are held at a time."""


@torch.no_grad()
def predict_moments(
    model: DRN,
    queries: MomentSet,
    *,
    batch_size: int = 64,
    use_iou: bool = True,
    dtype: str = "fp32",
) -> Moments:
    """Moments that a model finds for all queries of a set.

    Args:
        model: in any mode, which it keeps; it predicts in evaluation mode, on its own device.
        queries: Q queries with their videos.
        batch_size: queries at once.
        use_iou: whether scores include the predicted IoU, see `DRN.decode`.
        dtype: `"bf16"` for a copy of the model in bfloat16, whose predictions are decoded in
            float32; else `"fp32"`.

    Returns:
        Moments of the queries, in their order, on the CPU, not yet suppressed. Holds the encoded
        clips of 64 videos.

    Raises:
        ConfigError: another dtype.
        GraphError: videos that the model cannot read, predictions that are not finite.
    """
    check_choice("dtype", dtype, ("fp32", "bf16"))
    mode, device = model.training, next(model.parameters()).device
    if dtype == "bf16":
        model = copy.deepcopy(model).bfloat16()  # its own weights stay as they are
    videos = queries.gallery_graphs()
    order = queries.owner.argsort(stable=True)  # queries of the same videos together
    owner = queries.owner[order]
    parts = []
    model.eval()
    try:
        for first in range(0, len(videos), VIDEOS):
            last = min(first + VIDEOS, len(videos))
            graphs = [videos[number] for number in range(first, last)]
            visual = model.encode_visual(batch_graphs(graphs).to(device))
            begin, end = torch.searchsorted(owner, torch.tensor([first, last])).tolist()
            for start in range(begin, end, batch_size):
                stop = min(start + batch_size, end)
                texts = [queries.text(number) for number in order[start:stop].tolist()]
                text = model.encode_text(batch_graphs(texts, follow=("word",)).to(device))
                place = (owner[start:stop] - first).to(device)
                found = model.decode(model.ground(visual, text, place), use_iou=use_iou)
                parts.append(found.to("cpu"))
    finally:
        model.train(mode)
    return Moments.cat(parts).select(order.argsort())
