"""Scores by tiles: those of the pairs one by one, for every matcher, however items are given."""

from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphmatch import scoring
from graphmatch.encoded import Encoded
from graphmatch.errors import GraphError
from graphmatch.models.matcher import Matcher
from graphmatch.scoring import recomputed_scores, score_matrix, score_tiles
from graphmatch.tiling import windows

D = 6


class Tiny(Matcher):
    """Sums a saturated product over all pairs of nodes; weighs it with a number of each item."""

    tile = (4, 5)

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.linspace(0.5, 1.5, D))
        self.prepared = 0

    def encode_text(self, texts):
        raise NotImplementedError

    def encode_visual(self, visuals):
        raise NotImplementedError

    def prepare_text(self, text):
        self.prepared += len(text)
        length = text.nodes.to(self.weight.dtype).norm(dim=2)
        return text.with_extra(axes={"length": (1,)}, length=length)

    def score_tile(self, visual, text):
        assert len(visual) <= 4
        assert len(text) <= 5
        weighted = visual.nodes * self.weight.to(visual.nodes.dtype)
        product = torch.einsum("cmd,qnd->cmqn", weighted, text.nodes)
        product = product.to(torch.promote_types(product.dtype, torch.float32)).tanh()
        product = product * text.extra["length"] * visual.mask[:, :, None, None] * text.mask
        return product.sum(dim=(1, 3)) / visual.counts[:, None]

    def loss(self, scores, owner):
        return (1 + scores).square().mean() - scores[owner, torch.arange(len(owner))].mean()


def draw(count, width, *, seed=0, dtype=torch.float32):
    random = torch.Generator().manual_seed(seed)
    counts = torch.randint(1, width + 1, (count,), generator=random)
    mask = torch.arange(width) < counts[:, None]
    nodes = torch.randn(count, width, D, generator=random, dtype=dtype) * mask[..., None]
    return Encoded(nodes=nodes, mask=mask)


def pair_by_pair(matcher, visual, text):
    rows = [
        torch.cat([matcher.score(visual[i : i + 1], text[k : k + 1]) for k in range(len(text))], 1)
        for i in range(len(visual))
    ]
    return torch.cat(rows).detach()


@pytest.fixture
def matcher():
    return Tiny()


@pytest.fixture
def visual():
    return draw(11, 7, seed=1)


@pytest.fixture
def text():
    return draw(23, 9, seed=2)


def test_scores_equal_pairs_one_by_one(matcher, visual, text, assert_close):
    scores = score_matrix(matcher, visual, text)
    assert scores.dtype == torch.float32
    assert not scores.requires_grad
    assert_close(scores, pair_by_pair(matcher, visual, text))


class Lazy:
    """Chunks that are made when they are asked for."""

    def __init__(self, chunks):
        self.chunks, self.read = chunks, 0

    def __len__(self):
        return len(self.chunks)

    def __getitem__(self, number):
        self.read += 1
        return self.chunks[number].trim()


@given(st.lists(st.integers(0, 23), max_size=6), st.lists(st.integers(0, 11), max_size=3))
def test_chunks_change_nothing(text_cuts, visual_cuts):
    visual, text = draw(11, 7, seed=1), draw(23, 9, seed=2)
    edges = [0, *sorted(text_cuts), 23]
    chunks = [text[a:b] for a, b in itertools.pairwise(edges)]
    edges = [0, *sorted(visual_cuts), 11]
    images = [visual[a:b] for a, b in itertools.pairwise(edges)]
    expected = score_matrix(Tiny(), visual, text)
    found = score_matrix(Tiny(), images, Lazy(chunks))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_small_blocks_and_windows_change_nothing(matcher, visual, text, monkeypatch):
    expected = score_matrix(matcher, visual, text)
    chunks = [text[:9], text[9:10], text[10:]]
    for name in ("VISUAL_BLOCK", "TEXT_BLOCK"):
        monkeypatch.setattr(scoring, name, 1)
    monkeypatch.setattr(scoring, "windows", partial(windows, size=1))
    torch.testing.assert_close(score_matrix(matcher, visual, chunks), expected)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_nothing(matcher, visual, text, threads):
    before = torch.get_num_threads()
    expected = score_matrix(matcher, visual, text, threads=1)
    assert torch.equal(score_matrix(matcher, visual, text, threads=threads), expected)
    assert torch.get_num_threads() == before
    blocks = score_tiles(matcher, visual, text, threads=threads)
    next(blocks)
    assert torch.get_num_threads() == before  # between blocks, too
    blocks.close()


def test_every_pair_is_in_one_block(matcher, visual, text, monkeypatch):
    monkeypatch.setattr(scoring, "TEXT_BLOCK", 400)
    seen = torch.zeros(11, 23)
    for rows, columns, scores in score_tiles(matcher, visual, text):
        assert scores.shape == (len(rows), len(columns))
        seen[rows[:, None], columns] += 1
    assert (seen == 1).all()


def test_text_is_prepared_once_a_visual_block(matcher, visual, text):
    score_matrix(matcher, visual, [text[:5], text[5:]])
    assert matcher.prepared == len(text)


def test_lazy_chunks_are_read_once_for_their_sizes_and_once_a_visual_block(matcher, visual, text):
    lazy = Lazy([text[:5], text[5:]])
    score_matrix(matcher, visual, lazy)
    assert lazy.read == 4
    for _ in score_tiles(matcher, visual, lazy):
        pass
    assert lazy.read == 6


def test_no_items_make_an_empty_matrix(matcher, visual, text):
    assert score_matrix(matcher, visual[:0], text).shape == (0, 23)
    assert score_matrix(matcher, [], [text]).shape == (0, 23)
    assert score_matrix(matcher, visual, [text[:0]]).shape == (11, 0)
    assert score_matrix(matcher, [], []).shape == (0, 0)
    assert score_matrix(matcher, visual, text[:0], dtype=torch.float64).dtype == torch.float64
    assert list(score_tiles(matcher, [], text)) == []


def test_one_pair_is_scored(matcher, visual, text, assert_close):
    found = score_matrix(matcher, visual[:1], text[:1])
    assert_close(found, pair_by_pair(matcher, visual[:1], text[:1]))


def test_float64_items_have_float64_scores(visual, text, assert_close):
    matcher = Tiny().double()
    visual, text = visual.to(dtype=torch.float64), text.to(dtype=torch.float64)
    scores = score_matrix(matcher, visual, text)
    assert scores.dtype == torch.float64
    assert_close(scores, pair_by_pair(matcher, visual, text), "float64")


def test_dtype_is_that_of_the_products(matcher, visual, text):
    expected = score_matrix(matcher, visual, text)
    half = score_matrix(matcher, visual, text, dtype=torch.bfloat16)
    assert half.dtype == torch.float32
    assert 0 < (half - expected).abs().max() < 0.1 * expected.abs().max()
    double = score_matrix(matcher, visual, text, dtype=torch.float64)
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), expected, atol=1e-5, rtol=1e-4)


def test_scores_are_written_into_a_given_array(matcher, visual, text, tmp_path):
    expected = score_matrix(matcher, visual, text)
    out = np.lib.format.open_memmap(tmp_path / "s.npy", "w+", np.float32, (11, 23))
    found = score_matrix(matcher, visual, text, out=out)
    out.flush()
    assert torch.equal(found, expected)
    assert np.array_equal(np.load(tmp_path / "s.npy"), expected.numpy())


def test_an_array_of_another_shape_is_an_error(matcher, visual, text):
    with pytest.raises(GraphError, match=r"out: expected shape \(11, 23\) \(got \(23, 11\)\)"):
        score_matrix(matcher, visual, text, out=np.zeros((23, 11), np.float32))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_scores_that_are_not_finite_are_errors_that_name_the_pair(matcher, visual, text, bad):
    visual.nodes[3, 0, 0] = bad
    text.nodes[:, :, 0] = 0
    text.nodes[17, 0, 0] = bad
    text.nodes[17, 0, 1] = math.nan
    with pytest.raises(GraphError, match=r"visual item \d+ and caption 17, .* look for NaN"):
        score_matrix(matcher, visual[:3], text)
    with pytest.raises(GraphError, match="visual item 3 and caption"):
        score_matrix(matcher, visual, text[:5])


def test_the_bar_is_shown_on_terminals_only(matcher, visual, text, capsys):
    score_matrix(matcher, visual, text, progress=True)
    score_matrix(matcher, visual, text)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_gradients_reach_scoring_not(matcher, visual, text):
    visual.nodes.requires_grad_()
    for block in score_tiles(matcher, visual, text):
        assert torch.is_grad_enabled()
        assert not block.scores.requires_grad


def test_recomputed_scores_have_the_gradients_of_scores(assert_close):
    visual, text = draw(11, 7, seed=1), draw(13, 9, seed=2)
    gradients = []
    for tiled in (False, True):
        matcher = Tiny().double()
        matcher.tile = (4, 5) if tiled else (99, 99)
        nodes = [items.nodes.double().requires_grad_() for items in (visual, text)]
        left, right = (
            Encoded(nodes=node, mask=items.mask)
            for node, items in zip(nodes, (visual, text), strict=True)
        )
        scores = recomputed_scores(matcher, left, right) if tiled else naive(matcher, left, right)
        matcher.loss(scores, torch.arange(13) % 11).backward()
        gradients.append([scores.detach(), *(x.grad for x in (*nodes, matcher.weight))])
    for found, expected in zip(*gradients, strict=True):
        assert_close(found, expected, "float64")


def naive(matcher, visual, text):
    return torch.cat(
        [
            torch.cat([matcher.score(visual[i : i + 4], text[k : k + 5]) for k in (0, 5, 10)], 1)
            for i in (0, 4, 8)
        ]
    )


def test_recomputed_scores_keep_the_activations_of_no_tile(matcher, visual, text):
    kept = []

    def pack(tensor):
        kept.append(tensor.numel())
        return tensor

    visual.nodes.requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        recomputed_scores(matcher, visual, text)
    pairs_of_nodes = 11 * 7 * 23 * 9
    assert 0 < sum(kept) < pairs_of_nodes / 3


def test_recomputed_scores_of_nothing(matcher, visual, text):
    assert recomputed_scores(matcher, visual[:0], text).shape == (0, 23)
    assert recomputed_scores(matcher, visual, [text[:4], text[4:]]).shape == (11, 23)
