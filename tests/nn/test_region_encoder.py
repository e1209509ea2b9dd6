"""The linear map of region features."""

from __future__ import annotations

import math

import pytest
import torch

from graphmatch.errors import ConfigError, GraphError
from graphmatch.nn.region_encoder import RegionEncoder


def test_official_initial_values():
    torch.manual_seed(0)
    encoder = RegionEncoder(20, 12)
    bound = math.sqrt(6) / math.sqrt(20 + 12)
    largest = float(encoder.linear.weight.detach().abs().max())
    assert 0.9 * bound < largest <= bound
    assert not encoder.linear.bias.any()


def test_weight_norm_has_one_number_for_the_whole_matrix(assert_close):
    encoder = RegionEncoder(5, 3, weight_norm=True)
    length, direction, bias = (torch.tensor(2.5), torch.randn(3, 5), torch.randn(3))
    prefix = "linear.parametrizations.weight.original"
    encoder.load_state_dict({f"{prefix}0": length, f"{prefix}1": direction, "linear.bias": bias})
    x = torch.randn(4, 5)
    weight = 2.5 * direction / direction.square().sum().sqrt()
    assert_close(encoder(x), x @ weight.T + bias)


def test_features_of_half_precision_are_encoded_in_the_dtype_of_the_parameters():
    assert RegionEncoder(5, 3)(torch.zeros(2, 5, dtype=torch.float16)).dtype == torch.float32


def test_bad_input():
    with pytest.raises(GraphError, match=r"5 numbers \(got 4"):
        RegionEncoder(5, 3)(torch.zeros(2, 4))
    with pytest.raises(ConfigError, match="sizes from 1"):
        RegionEncoder(0, 3)
