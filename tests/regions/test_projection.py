"""Projections: the formula, and files that are damaged, malicious or of another content."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from graphmatch.errors import FormatError, GraphError
from graphmatch.regions.projection import Projection, load_projection


@pytest.fixture
def arrays():
    generator = np.random.default_rng(1)
    return {
        "mean": generator.normal(size=5).astype(np.float32),
        "basis": generator.normal(size=(5, 3)).astype(np.float32),
        "scale": np.float32(0.5),
    }


def test_equals_the_formula(arrays, tmp_path, assert_close):
    np.savez(tmp_path / "pca.npz", **arrays)
    projection = load_projection(tmp_path / "pca.npz")
    feature = np.random.default_rng(2).normal(size=(4, 5)).astype(np.float32)
    expected = (feature - arrays["mean"]) @ arrays["basis"] / arrays["scale"]
    assert_close(projection(torch.from_numpy(feature)), torch.from_numpy(expected))
    assert projection.width == 3


def test_version_names_the_numbers(arrays, tmp_path):
    versions = set()
    for name in ("one", "same", "mean", "basis", "scale"):
        changed = {key: value * (2 if key == name else 1) for key, value in arrays.items()}
        np.savez(tmp_path / f"{name}.npz", **changed)
        versions.add(load_projection(tmp_path / f"{name}.npz").version)
    assert len(versions) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": None}, "mean is not a file in the archive"),
        ({"mean": np.zeros(4)}, r"got mean \[4\] and basis \[5, 3\]"),
        ({"basis": np.zeros(5)}, r"basis \[5\]"),
        ({"basis": np.full((5, 3), np.nan)}, "expected a finite mean"),
        ({"scale": np.float32(0)}, "the scale not zero"),
        ({"scale": np.ones(2)}, "expected an .npz"),
        ({"mean": np.array(["a"] * 5)}, "could not convert"),
        ({"mean": np.array([None] * 5)}, "allow_pickle=False"),
    ],
)
def test_another_content(arrays, tmp_path, change, message):
    arrays = {key: value for key, value in (arrays | change).items() if value is not None}
    np.savez(tmp_path / "pca.npz", **arrays)
    with pytest.raises(FormatError, match=message):
        load_projection(tmp_path / "pca.npz")


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_malicious_file_is_refused_and_does_nothing(arrays, tmp_path):
    arrays["mean"] = np.array([Malicious(tmp_path / "made")] * 5, dtype=object)
    np.savez(tmp_path / "pca.npz", **arrays)
    with pytest.raises(FormatError):
        load_projection(tmp_path / "pca.npz")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_files_are_refused_or_read_as_they_are(arrays, tmp_path, save):
    path = tmp_path / "pca.npz"
    save(path, **arrays)
    content = path.read_bytes()
    generator = np.random.default_rng(3)
    refused = 0
    for number in range(300):
        damaged = bytearray(content)
        damaged[generator.integers(len(content))] = generator.integers(256)
        if number % 3 == 0:
            damaged = damaged[: generator.integers(len(content))]
        path.write_bytes(damaged)
        try:
            load_projection(path)
        except FormatError:
            refused += 1
    assert refused >= 100


def test_a_single_array_is_no_archive(tmp_path):
    np.save(tmp_path / "pca.npy", np.zeros((3, 3)))
    with pytest.raises(FormatError, match=r"expected an \.npz"):
        load_projection(tmp_path / "pca.npy")


def test_features_of_another_width():
    projection = Projection(mean=torch.zeros(3), basis=torch.eye(3), scale=1.0)
    with pytest.raises(GraphError, match=r"expects 3 numbers a feature \(got 4\)"):
        projection(torch.zeros(2, 4))
