"""`mean_rules`: rules without a model that predict clicks from means over the training split."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graphmatch.click_store import ClickStore
from graphmatch.errors import ConfigError

POPULARITY = "training samples of the item"
ITEM = "mean of the item"
USER = "mean of the user"
BOTH = "means of user and item"
_TINY = 1e-7  # of means in logarithms

Floats = NDArray[np.float64]


def mean_rules(
    store: ClickStore, samples: NDArray[np.int64], *, prior: float = 5.0
) -> dict[str, Floats]:
    """Scores of samples by rules that read labels of the training split and nothing else.

    With the global mean g, a mean over n training samples is (clicks + prior g) / (n + prior), g
    for an item or user without any. `means of user and item` is the sigmoid of
    logit(user) + logit(item) - logit(g).

    Args:
        store: an encoded log.
        samples: [n] numbers of samples.
        prior: samples that the global mean counts for.

    Returns:
        [n] each, by name: a count, then probabilities; those of users only if the store has them.

    Raises:
        ConfigError: a prior that is not above 0, no training sample.
    """
    if not 0 < prior < np.inf:
        raise ConfigError(f"prior: expected a number above 0 (got {prior})")
    train = store.split("train")
    if not len(train):
        raise ConfigError(f"{store.path}: expected training samples (got none)")
    label = store.sample("label")[train].astype(np.float64)
    overall = float(np.clip(label.mean(), _TINY, 1 - _TINY))

    def means(name: str, size: int) -> tuple[Floats, Floats]:
        owner = store.sample(name)
        count = np.bincount(owner[train], minlength=size).astype(np.float64)
        clicks = np.bincount(owner[train], label, minlength=size)
        mean = (clicks + prior * overall) / (count + prior)
        return count[owner[samples]], mean[owner[samples]]

    count, item = means("item", store.counts["items"])
    rules = {POPULARITY: count, ITEM: item}
    if "sample_user" in store.arrays:
        user = means("user", store.counts["users"])[1]
        total = _logit(user) + _logit(item) - _logit(np.array(overall))
        rules |= {USER: user, BOTH: 1 / (1 + np.exp(-total))}
    return rules


def _logit(value: Floats) -> Floats:
    clipped = np.clip(value, _TINY, 1 - _TINY)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))
