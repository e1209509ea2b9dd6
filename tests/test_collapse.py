"""The watch over MARN's adversary: literal weights die, normalised ones do not."""

from __future__ import annotations

import warnings

import pytest
import torch

from graphmatch.collapse import CollapseLimits, CollapseWarning, CollapseWatch, collapse_signs
from graphmatch.errors import ConfigError
from tests.marn_world import build, random_batch

HEALTHY = {"weight": 0.4, "accuracy": 0.6, "specific": 1.2, "invariant": 1.3}


@pytest.mark.parametrize(
    ("change", "sign"),
    [
        ({}, None),
        ({"weight": 0.01}, "weight"),
        ({"accuracy": 1.0}, "accuracy"),
        ({"invariant": 0.05}, "vanished"),
        ({"invariant": 13.0}, "exploded"),
        ({"specific": 0.0}, "exploded"),
        ({"specific": 0.0, "invariant": 0.0}, None),
    ],
)
def test_signs(change, sign):
    assert list(collapse_signs(HEALTHY | change)) == ([] if sign is None else [sign])


def test_parts_that_a_model_does_not_have_are_no_sign():
    assert not collapse_signs({})
    assert not collapse_signs({"specific": 1.0})
    assert collapse_signs({"weight": 0.1}, CollapseLimits(weight=0.2))


def test_a_watch_looks_at_means_and_warns_once():
    watch = CollapseWatch(every=2)
    low, high = torch.tensor(0.0), torch.tensor(0.4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        watch.see({"weight": low})
        assert not watch.see({"weight": high})  # the mean is healthy
        assert watch.means == {"weight": pytest.approx(0.2)}
        watch.see({"weight": low})
    with pytest.warns(CollapseWarning, match="mean weight w is 0") as caught:
        assert list(watch.see({"weight": low})) == ["weight"]
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4):
            assert not watch.see({"weight": low})
    assert list(watch.signs) == ["weight"]
    with pytest.raises(ConfigError, match="every"):
        CollapseWatch(every=0)


def train(**options):
    model = build(**options, dim=16, disc_hidden=32).float()
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    watch = CollapseWatch(every=25)
    batches = [random_batch(16, 4, 40, seed=seed, missing=0.1) for seed in range(4)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CollapseWarning)
        for step in range(75):
            outcome = model.outcome(batches[step % 4])
            optimiser.zero_grad()
            outcome.losses["total"].backward()
            optimiser.step()
            watch.see(outcome.measured)
    return watch, [str(w.message) for w in caught if w.category is CollapseWarning]


@pytest.mark.slow
def test_literal_weights_die_and_are_seen_to():
    watch, messages = train(w_normalize=False)
    assert {"weight", "vanished"} <= watch.signs.keys()
    assert any("set w_normalize=True" in message for message in messages)
    literal = watch.means["invariant"] / watch.means["specific"]
    watch, _ = train(w_normalize=True)
    assert not {"vanished", "exploded"} & watch.signs.keys()
    assert watch.means["invariant"] / watch.means["specific"] > 10 * literal
