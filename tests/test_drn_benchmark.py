"""`benchmarks/drn.py`: the floor against operations that torch counts, the whole in small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from graphmatch.graphs.batch import batch_graphs
from graphmatch.graphs.clip import ClipGraph
from graphmatch.graphs.words import word_graph
from graphmatch.models.drn import DRN, DRNConfig

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))


def counted(work):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        found = work()
    return found, counter.get_total_flops()


@pytest.mark.parametrize("towers", [0, 2])
def test_floor_is_what_torch_counts(towers):
    from drn_floor import query_operations, video_operations

    config = DRNConfig(
        vocabulary=9, feature_size=6, clips=8, word_size=3, hidden=4, position_size=5,
        channels=(4, 6, 8), pyramid_size=6, tower_layers=towers,
    )  # fmt: skip
    model = DRN(config).eval()
    bounds = torch.arange(9.0)
    time = torch.stack((bounds[:-1], bounds[1:]), dim=1)
    video = ClipGraph(x=torch.randn(8, 6), time=time, duration=torch.tensor([8.0]))
    query = batch_graphs([word_graph([1, 2, 3])], follow=("word",))
    visual, operations = counted(lambda: model.encode_visual(batch_graphs([video])))
    assert operations == video_operations(config)
    floor = query_operations(config, 3)
    text, operations = counted(lambda: model.encode_text(query))
    with_lstm = floor["query"] + floor["lstm"]
    assert operations in (floor["query"], with_lstm)  # torch may count nothing inside an LSTM
    _, operations = counted(lambda: model.ground(visual, text, torch.tensor([0])))
    assert operations == sum(floor.values()) - with_lstm


def test_published_sizes_cost_what_the_specification_says():
    from drn_floor import query_operations, video_operations

    found = {}
    for features in (4096, 2048, 768):
        config = DRNConfig(vocabulary=1302, feature_size=features)
        whole = video_operations(config) + sum(query_operations(config, 8).values())
        found[features] = round(whole / 1e9, 2)
    assert found == {4096: 1.79, 2048: 0.88, 768: 0.58}


@pytest.mark.slow
def test_the_whole_benchmark():
    command = [sys.executable, str(FOLDER / "drn.py"), "--features", "MFnet", "--batch", "4"]
    done = subprocess.run(
        [*command, "--queries", "8", "--rounds", "1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "| MFnet | 4 |" in done.stdout
    assert "plain loop" in done.stdout
