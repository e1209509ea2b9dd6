"""The official loader's boxes against its own loop, written with numpy's float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graphmatch.errors import ConfigError, GraphError
from graphmatch.regions.official_boxes import official_boxes, official_single_fold_boxes


class Loader:
    """What the official data set does: it divides the array that it keeps."""

    def __init__(self, box, size, swapped):
        self.box, self.size, self.swapped = box.copy(), size, swapped

    def __getitem__(self, image):
        width, height = self.size[image]
        across, down = (height, width) if self.swapped else (width, height)
        for box in self.box[image]:
            for corner, by in enumerate((across, down, across, down)):
                box[corner] /= by
        return self.box[image].copy()


@pytest.mark.parametrize("divisor", ["size", "swapped"])
def test_boxes_equal_a_loader_that_divides_in_place(divisor):
    random = np.random.default_rng(1)
    size = [(500, 375), (333, 500)]
    box = random.uniform(0, 333, (2, 4, 4)).astype(np.float32)
    loader = Loader(box, size, divisor == "swapped")
    given = torch.from_numpy(box.copy())
    for access in range(1, 13):
        expected = np.stack([loader[image] for image in range(2)])
        result = official_boxes(given, torch.tensor(size), access, divisor=divisor)
        assert result.dtype == torch.float32
        assert np.array_equal(result.numpy(), expected), access
    assert np.array_equal(given.numpy(), box)  # ours keeps nothing
    assert not official_boxes(given, torch.tensor(size), 21).any()


def test_one_image_and_a_batch():
    box, size = torch.rand(3, 5, 4) * 100, torch.tensor([[90.0, 60], [64, 48], [33, 99]])
    together = official_boxes(box, size, 2)
    for number in range(3):
        assert torch.equal(together[number], official_boxes(box[number], size[number], 2))
    assert torch.equal(official_boxes(box, size, 1), box / size.repeat(1, 2).unsqueeze(1))


def test_single_fold_boxes_are_those_of_image_k_over_five():
    rows = (
        torch.arange(20).view(20, 1, 1).expand(20, 2, 4).repeat_interleave(5, dim=0)
    )  # as on disk
    # the evaluation asks for image k's boxes in row k of the file, though it has five rows an image
    expected = torch.stack([rows[k] for k in range(20)])
    assert torch.equal(official_single_fold_boxes(rows[::5]), expected)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"access": 0}, ConfigError, "1 or more"),
        ({"divisor": "swaped"}, ConfigError, "did you mean 'swapped'"),
        ({"size": torch.ones(3)}, GraphError, r"got \[2, 4\] and \[3\]"),
        ({"box": torch.ones(4)}, GraphError, r"got \[4\]"),
    ],
)
def test_bad_arguments_are_refused(change, error, message):
    arguments = {"box": torch.ones(2, 4), "size": torch.ones(2), "access": 1, **change}
    with pytest.raises(error, match=message):
        official_boxes(**arguments)
