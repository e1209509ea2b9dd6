"""`statistics_before`: what is known of each event's item from the events before it, strictly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemStatistics:
    """What is known of items at events.

    Args:
        count: [n] earlier events of the item.
        positives: [n] those with label 1.
        mean: [n] mean of their labels; NaN if none has a label.
    """

    count: NDArray[np.float64]
    positives: NDArray[np.float64]
    mean: NDArray[np.float64]


def statistics_before(
    item: NDArray[np.integer], time: NDArray[np.float64], label: NDArray[np.floating]
) -> ItemStatistics:
    """Counts and labels of each event's item over the events that are earlier than it.

    Events of the same time do not count for each other, so nothing depends on the event itself, on
    one of its time, or on a later one. Events of validation and test count once they are past, as
    they would where the model serves.

    Args:
        item: [n] items as whole numbers from 0.
        time: [n] seconds.
        label: [n] 0 or 1; NaN for events without one, which count as events only.

    Returns:
        Statistics in the order of the events. Allocates about 80 bytes an event.

    Example:
        >>> found = statistics_before(np.array([4, 4, 4]), np.array([9.0, 5.0, 9.0]),
        ...                           np.array([0.0, 1.0, 1.0]))
        >>> found.count, found.mean
        (array([1., 0., 1.]), array([ 1., nan,  1.]))
    """
    order = np.lexsort((time, item))
    items, moments = item[order], time[order]
    new_item = np.ones(len(order), bool)
    new_item[1:] = items[1:] != items[:-1]
    new_moment = new_item.copy()
    new_moment[1:] |= moments[1:] != moments[:-1]
    here = np.arange(len(order))
    first = np.maximum.accumulate(np.where(new_item, here, 0))  # [n] first event of the item
    same = np.maximum.accumulate(np.where(new_moment, here, 0))  # first of the item and time
    del items, moments, new_item, new_moment, here
    labels = label[order].astype(np.float64)
    known = ~np.isnan(labels)

    def earlier(values: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.zeros(len(values) + 1)
        np.cumsum(values, out=total[1:])
        result = np.empty(len(values))
        result[order] = total[same] - total[first]
        return result

    count = np.empty(len(order))
    count[order] = same - first
    positives = earlier(np.where(known, labels, 0.0))
    labelled = earlier(known.astype(np.float64))
    mean = np.full(len(order), np.nan)
    np.divide(positives, labelled, out=mean, where=labelled > 0)
    return ItemStatistics(count=count, positives=positives, mean=mean)
