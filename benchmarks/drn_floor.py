"""The arithmetic of DRN: floating-point operations (2 a multiply-add) of a video and of a query.

Counted is what the model's result depends on, in the cheapest exact formulation known here: the
projected clips once a video, the query's factors once a query; no zeros that a convolution sees
past the ends are left out. Element-wise work is not counted.
"""

from __future__ import annotations

from graphmatch.models.drn import DRNConfig


def video_operations(config: DRNConfig) -> int:
    """Operations of a video, whatever is asked about it: clips and their places.

    Args:
        config: sizes.

    Returns:
        2 T F^2 + 2 T 3 p.
    """
    return 2 * config.clips * (config.feature_size**2 + 3 * config.position_size)


def query_operations(config: DRNConfig, words: float) -> dict[str, float]:
    """Operations of a query in a video that is encoded.

    Args:
        config: sizes; as in Charades-STA, one layer of the LSTM and one convolution a tower.
        words: of the query, a mean as well.

    Returns:
        Operations by part: `lstm`, `query` (attention and factors), `interaction`, `pyramid`,
        `towers`, `outputs`, `iou`.
    """
    d, hidden = 2 * config.hidden, config.hidden
    steps = [config.clips, config.clips // 2, config.clips // 4]
    points = sum(steps)
    width, half = config.pyramid_size, config.pyramid_size // 2
    sizes = (config.feature_size + config.position_size, *config.channels)
    factors = config.feature_size + config.channels[0] + config.channels[1]
    conv = [steps[k] * sizes[k] * sizes[k + 1] * 3 for k in range(3)]
    lateral = [steps[k] * config.channels[k] * width for k in range(3)]
    multiply_adds = {
        "lstm": words * 2 * (config.word_size + hidden) * 4 * hidden,
        "query": 2 * d * hidden + 3 * hidden * d + 2 * 3 * words * d + d * factors,
        "interaction": sum(conv),
        "pyramid": sum(lateral) + points * width * width * 3,
        "towers": 2 * points * width * width * 3 * config.tower_layers,
        "outputs": points * width * 3 * (1 + 2),
        "iou": points * (2 * width * width + width * half * 3 + half),
    }
    return {name: 2 * number for name, number in multiply_adds.items()}
