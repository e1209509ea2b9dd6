"""Rows of an index hold what `Encoded` held."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.encoded import Encoded
from graphmatch.errors import GraphError
from graphmatch.index_rows import encoded_to_rows, rows_to_encoded
from graphmatch.index_schema import IndexHeader, metadata_schema, read_header, tensor_columns


def random_encoded(counts, seed, size=4):
    random = torch.Generator().manual_seed(seed)
    width = max([1, *counts]) + seed % 2
    mask = torch.arange(width) < torch.tensor(counts)[:, None]
    n = len(counts)

    def draw(*shape):
        return torch.randn(n, *shape, generator=random)

    both = mask[:, :, None] & mask[:, None]
    return Encoded(
        nodes=draw(width, size) * mask[..., None],
        mask=mask,
        pooled=draw(size),
        extra={
            "box": draw(width, 3) * mask[..., None],
            "pair": draw(width, width) * both,
            "kind": (draw(width) * 9).long() * mask,
            "whole": draw(2, 2),
            "flag": (draw(width) > 0) & mask,
            "wide": draw(width, size) * mask[..., None],
        },
        node_axes={"box": (1,), "pair": (1, 2), "kind": (1,), "flag": (1,), "wide": (1,)},
    )


def header(encoded, dtype="float32"):
    tensors = tensor_columns(encoded, dtype)
    return IndexHeader(digest="0", checkpoint="here", dtype=dtype, tensors=tensors)


def to_rows(encoded, head):
    schema = head.schema(vector_size=3, metadata=pa.schema([("year", pa.int64())]))
    vectors = np.ones((len(encoded), 3), dtype=np.float32)
    ids = [str(number) for number in range(len(encoded))]
    return encoded_to_rows(ids, encoded, vectors, schema=schema, tensors=head.tensors)


@given(counts=st.lists(st.integers(0, 5), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_rows_are_reversible(counts, seed):
    encoded = random_encoded(counts, seed)
    head = header(encoded)
    rows = to_rows(encoded, head)
    found, expected = rows_to_encoded(rows, head.tensors), encoded.trim()
    assert found.node_axes == expected.node_axes
    assert found.extra.keys() == expected.extra.keys()
    for name in ("nodes", "mask", "pooled"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    for name, value in expected.extra.items():
        assert torch.equal(found.extra[name], value), name
        assert found.extra[name].dtype == value.dtype
    some = rows.slice(len(counts) // 2)  # offsets do not begin at 0
    assert torch.equal(
        rows_to_encoded(some, head.tensors).nodes, expected[len(counts) // 2 :].trim().nodes
    )


def test_float16_is_for_vectors_of_nodes(assert_close):
    encoded = random_encoded([2, 3], 0)
    head = header(encoded, "float16")
    kinds = {tensor.name: tensor.dtype for tensor in head.tensors}
    assert {name for name, kind in kinds.items() if kind == "float16"} == {
        "nodes",
        "pooled",
        "wide",
    }
    found = rows_to_encoded(to_rows(encoded, head), head.tensors)
    assert torch.equal(found.nodes, encoded.nodes.half().float())
    assert torch.equal(found.extra["box"], encoded.extra["box"])


def test_headers_are_reversible():
    head = header(random_encoded([1], 0))
    schema = head.schema(vector_size=3, metadata=pa.schema([("year", pa.int64())]))
    assert read_header(schema, where="here") == head
    assert metadata_schema(schema, head).names == ["year"]


def test_tensors_that_do_not_fit():
    encoded = random_encoded([2, 1], 0)
    head = header(encoded)
    other = Encoded(nodes=encoded.nodes, mask=encoded.mask)
    with pytest.raises(GraphError, match="expected items with the tensors"):
        to_rows(other, head)
    with pytest.raises(GraphError, match="nodes: expected"):
        to_rows(random_encoded([2, 1], 0, size=5), head)
    holes = Encoded(nodes=torch.zeros(1, 2, 4), mask=torch.tensor([[False, True]]))
    with pytest.raises(GraphError, match="before its padding"):
        to_rows(holes, header(holes))
    last = holes.with_extra(axes={"t": (2,)}, t=torch.zeros(1, 3, 2))
    with pytest.raises(GraphError, match="to be the first"):
        header(last)
