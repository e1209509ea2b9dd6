"""`benchmarks/movielens.py`: settings of its rows, sentences, the whole on made-up ratings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))


def world(folder, users=12, films=30):
    """MovieLens' files: everybody likes every second film."""
    folder.mkdir()
    ratings, movies = ["userId,movieId,rating,timestamp"], ["movieId,title,genres"]
    for film in range(1, films + 1):
        genre = "Comedy" if film % 2 else "Drama|War"
        movies.append(f"{film},A film of {film % 5} words ({1980 + film}),{genre}")
        for user in range(1, users + 1):
            stamp = 10**9 + 1000 * ((film * 7 + user * 3) % films)
            ratings.append(f"{user},{film},{5 if film % 2 else 2.5},{stamp}")
    (folder / "ratings.csv").write_text("\n".join(ratings) + "\n")
    (folder / "movies.csv").write_text("\n".join(movies) + "\n")
    (folder / "tags.csv").write_text("userId,movieId,tag,timestamp\n1,2,dull,1000000000\n")
    return folder


def test_settings_of_all_rows_are_possible(tmp_path):
    from movielens_runs import COMMON, ROWS, Run

    from graphmatch.click_inputs import ClickInputs, marn_config
    from graphmatch.click_job import encode_clicks
    from graphmatch.click_store import ClickStore
    from graphmatch.click_training_job import click_settings
    from graphmatch.datasets.movielens import read_movielens

    encode_clicks(read_movielens(world(tmp_path / "data")), tmp_path / "clicks")
    store, configs = ClickStore(tmp_path / "clicks"), {}
    for name in ROWS:
        one = Run(name=name, seed=0, clicks=tmp_path, out=tmp_path, extra=("dim=8",))
        inputs, own, training = click_settings(one.job.settings)
        configs[name] = marn_config(store, ClickInputs(**inputs), own)
        assert training["batch_size"] == int(COMMON["batch_size"])
    assert len({*map(repr, configs.values())}) == len(ROWS)
    assert configs["no-title"].names == ("genres", "ids", "stat")
    assert not configs["no-losses"].has_second
    assert configs["marn"].dim == 8


def record(seed, test, valid=0.8):
    return {
        "asked": {"settings": {"seed": str(seed)}},
        "test": {"auc": test},
        "valid": {"auc": valid},
    }


def test_sentences_do_not_choose_on_test():
    from movielens_tables import difference_line, goal_line

    runs = {
        "marn": [record(0, 0.80), record(1, 0.81)],
        "literal": [record(0, 0.90, valid=0.7)],
        "no-adversary": [record(0, 0.81), record(1, 0.80), record(2, 0.5)],
        "concat": [record(0, 0.70), record(1, 0.711)],
    }
    lines = goal_line({"runs": runs})
    assert lines[0].endswith("MARN, test AUC 0.8050 (goal 0.803, +0.0020).")
    assert "+0.0000 test AUC ± 0.0141 over 2 seeds: not more than" in lines[1]
    assert "+0.0995 test AUC ± 0.0007 over 2 seeds: more than" in lines[2]
    assert "nothing follows" in difference_line(runs, "literal", "marn")[0]


@pytest.mark.slow
def test_the_whole_benchmark(tmp_path):
    data = world(tmp_path / "data")
    command = [sys.executable, str(FOLDER / "movielens.py"), str(data)]
    command += ["--out", str(tmp_path / "o"), "--seeds", "1", "--only", "marn", "attention"]
    extra = ["epochs=1", "dim=4", "hidden=4", "batch_size=64"]

    def run(*more):
        return subprocess.run(
            [*command, "--extra", *extra, *more], capture_output=True, text=True, check=False
        )

    done = run()
    assert done.returncode == 0, done.stderr
    assert "| rule: means of user and item |" in done.stdout
    assert "| attention over ids | 1 |" in done.stdout
    assert "goal 0.803" in done.stdout
    result = json.loads((tmp_path / "o" / "movielens.json").read_text())
    one = result["runs"]["marn"][0]
    assert {*one["train"]["adversary"]["last"]} == {"accuracy", "weight", "invariant", "specific"}
    assert one["train"]["command"].startswith("graphmatch train marn --clicks")
    again = run()
    assert again.stdout == done.stdout
    assert " s, AUC " not in again.stderr
    other = run("lr=1e-4")
    assert other.returncode == 1
    assert "made with other settings" in other.stdout
