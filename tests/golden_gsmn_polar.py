"""GSMN's polar edges and kernel weights against golden vectors."""

from __future__ import annotations

import torch

from graphmatch.nn.polar_kernel import gaussian_weights, neighbour_sum
from graphmatch.regions.official_boxes import official_boxes
from graphmatch.regions.polar import box_centre, pairwise_polar

PREFIX = "param.graph_convolution_1."


def check_polar(case, assert_close):
    tensors = case.tensors
    size = torch.stack((tensors["in.image_w"], tensors["in.image_h"]), dim=1)
    parameters = {
        name.removeprefix(PREFIX): value
        for name, value in tensors.items()
        if name.startswith(PREFIX)
    }
    assert len(parameters["mean_rho"]) == case.content["config"]["n_kernels"]
    expected = {name: value for name, value in tensors.items() if name.startswith("out.")}
    assert expected
    outputs = {}
    for name, value in expected.items():
        _, access, output = name.split(".")
        if access not in outputs:
            number = int(access.removeprefix("access"))
            outputs[access] = compute(tensors["in.boxes_px"], size, number, parameters)
        actual = outputs[access][output]
        assert torch.equal(actual.isnan(), value.isnan()), name
        assert_close(actual.nan_to_num(), value.nan_to_num())


def compute(box, size, access, parameters):
    box = official_boxes(box, size, access)
    polar = pairwise_polar(box)
    weight = gaussian_weights(polar, **parameters, form="official")
    return {
        "boxes": box,
        "centres": box_centre(box),
        "pseudo_coord": polar,
        "gaussian_weights": weight,
        "neighbour_sum": neighbour_sum(weight),
    }
