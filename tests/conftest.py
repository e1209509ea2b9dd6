"""What several tests share: the tolerances, the real data folder, a parser that is loaded once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# (absolute, relative) by kind; integers and graphs are compared exactly
TOLERANCE = {
    "float32": (2e-5, 1e-4),
    "float32 gradient": (5e-5, 5e-4),
    "float64": (1e-10, 1e-8),
    "float64 looped": (1e-7, 1e-7),  # the official code adds 1e-8 to lengths
}
# the same examples in every run; HYPOTHESIS_PROFILE=search looks for new ones
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def assert_close():
    import torch

    def check(actual, expected, kind="float32"):
        absolute, relative = TOLERANCE[kind]
        torch.testing.assert_close(actual, expected, atol=absolute, rtol=relative)

    return check


@pytest.fixture(scope="session")
def parser():
    from graphmatch.parsers.spacy import SpacyParser

    return SpacyParser()


@pytest.fixture(scope="session")
def data():
    """Real data beside the checkout; tests that need it say so when it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: this test did not run")
    return folder
