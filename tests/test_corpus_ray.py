"""The corpus on Ray: the same results as on local processes, whatever happens to a worker."""

from __future__ import annotations

import json
import operator
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
from PIL import Image

from graphmatch.checkpoint import save_checkpoint
from graphmatch.cli.corpus import _load_models
from graphmatch.corpus import map_blocks
from graphmatch.datasets.captions import Caption
from graphmatch.encode_job import encode_corpus
from graphmatch.encoded_store import read_encoded
from graphmatch.errors import ConfigError
from graphmatch.feature_store import FeatureStore
from graphmatch.models.scan import SCAN, SCANConfig
from graphmatch.parse_job import parse_captions
from graphmatch.ray_engine import _import_ray, _quiet, _running, ray_blocks
from graphmatch.region_shards import extract_region_shards
from graphmatch.regions.photo_sources import read_sources
from graphmatch.vocab import SCAN_SPECIALS, Vocabulary

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ray():
    """One Ray of two cores for the tests of this file that do not start their own."""
    ray = _import_ray()
    with _quiet(None), _running(ray, 2, None):
        yield ray


@pytest.fixture(scope="module")
def captions():
    """Three hundred captions, good and bad ones."""
    texts = [
        "A man in a red shirt rides a horse.",
        "Two dogs chase a ball in the park, and a child {n} laughs.",
        "",
        "A red kite",
        "a\0b",
        "Nobody knows.  It rains! \ud800",
        "Eine Katze schläft 🐈 {n}.",
        "   ",
    ]
    made = [
        Caption(id=str(n), owner=f"v{n // 5}", text=texts[n % len(texts)].format(n=n))
        for n in range(300)
    ]
    made[100] = Caption(id="7", owner="v1", text="An id that was there before.")
    made[101] = Caption(id="x", text="", error="line 9: no JSON")
    return made


@pytest.fixture(scope="module")
def expected(captions, parser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    report = parse_captions(captions, folder, parser=parser, part_rows=30)
    assert report.failed > 100
    return report, content(folder)


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def workers():
    """Processes of Ray's actors that do blocks."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "MapWorker" in " ".join(child.cmdline())]


def test_a_cluster_that_is_not_there_is_an_error_at_once():
    with pytest.raises(ConfigError, match=r"Ray at 127\.0\.0\.1:1 \(got .*refused"):
        list(ray_blocks(operator.neg, [1], address="127.0.0.1:1"))


def test_blocks_are_done_as_on_local_processes(ray):
    engine = partial(ray_blocks, workers=2)
    assert list(engine(operator.neg, range(25))) == [-number for number in range(25)]
    assert list(engine(operator.neg, [])) == []
    with pytest.raises(TypeError, match="str"):
        list(engine(operator.index, [1, "two", 3]))
    with pytest.raises(ConfigError, match="workers from 1"):
        list(ray_blocks(operator.neg, [1], workers=0))
    names = ["__import__('os').environ['OMP_NUM_THREADS']", "__import__('os').getcwd()"]
    names.append("__import__('torch').get_num_threads()")
    assert list(engine(eval, names)) == ["1", str(Path.cwd()), 1]
    assert ray.is_initialized()  # it was there before


def test_a_block_that_kills_every_worker_is_given_up(ray):
    with pytest.raises(RuntimeError, match=r"killed 3 times on the same block, probably for mem"):
        list(ray_blocks(os._exit, [3], workers=1))


def test_parses_are_those_of_local_processes(ray, captions, parser, expected, tmp_path):
    engine = partial(ray_blocks, workers=2)
    report = parse_captions(captions, tmp_path, parser=parser, part_rows=30, engine=engine)
    assert report == expected[0]
    assert content(tmp_path) == expected[1]
    for part in ("part-00001.parquet", "part-00004.parquet"):
        (tmp_path / part).unlink()
    report = parse_captions(captions, tmp_path, parser=parser, part_rows=30, engine=engine)
    assert report.kept == 240
    assert content(tmp_path) == expected[1]


def test_a_killed_worker_costs_only_its_shard(ray, captions, parser, expected, tmp_path):
    killed = []

    def kill():
        """Kill a worker when the first shard is there."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if (tmp_path / "part-00000.parquet").exists() and workers():
                killed.append(workers()[0])
                killed[0].send_signal(signal.SIGKILL)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=kill)
    thread.start()
    engine = partial(ray_blocks, workers=2)
    report = parse_captions(captions, tmp_path, parser=parser, part_rows=30, engine=engine)
    thread.join()
    assert killed
    assert not killed[0].is_running()
    assert report.captions == 300
    assert report.kept <= 30  # a shard whose worker died between writing and reporting it
    assert content(tmp_path) == expected[1]


def test_regions_and_encodings_are_those_of_local_processes(ray, tmp_path):
    images, boxes = [], []
    for number in range(6):
        size = {"width": 60 + number, "height": 50}
        photo = Image.new("RGB", (60 + number, 50), (40 * number, 90, 200))
        photo.save(tmp_path / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png"} | size)
        box = {"bbox": [5, 10, 15, 30], "area": 450, "iscrowd": 0, "category_id": 3}
        boxes.append({"id": number, "image_id": number, **box})
    (tmp_path / "2.png").write_bytes(b"no image")
    whole = {"images": images, "annotations": boxes, "categories": [{"id": 3, "name": "ball"}]}
    (tmp_path / "boxes.json").write_text(json.dumps(whole))
    config = SCANConfig(vocabulary=5, feature_size=1392, word_size=3, embed_size=4)
    save_checkpoint(tmp_path / "scan", SCAN(config), Vocabulary((*SCAN_SPECIALS, "a"), "<unk>"))
    models = partial(
        _load_models, str(tmp_path / "boxes.json"), phrases=(), least_score=0.05,
        features="efficientnet-lite0", projection=None,
    )  # fmt: skip
    for name, engine in (("local", map_blocks), ("ray", partial(ray_blocks, workers=2))):
        report = extract_region_shards(
            read_sources([str(tmp_path / f"{n}.png") for n in range(6)]),
            tmp_path / f"{name}-regions",
            models=models, batch_size=1, shard_size=2, engine=engine,
        )  # fmt: skip
        assert (report.items, report.failed) == (6, 1)
        made = encode_corpus(
            tmp_path / "local-regions", tmp_path / f"{name}-encoded",
            checkpoint=tmp_path / "scan", side="visual", shard_size=3, engine=engine,
        )  # fmt: skip
        assert (made.items, made.failed) == (6, 1)
    assert (
        FeatureStore(tmp_path / "ray-regions").ids == FeatureStore(tmp_path / "local-regions").ids
    )
    here, there = (read_encoded(tmp_path / f"{name}-encoded") for name in ("local", "ray"))
    assert here.ids == there.ids
    for kind in ("regions", "encoded"):
        one, two = (content(tmp_path / f"{name}-{kind}") for name in ("local", "ray"))
        assert one == two, kind


def test_the_command_starts_and_stops_its_own_ray(captions, expected, tmp_path):
    lines = []
    for caption in captions[:8]:
        text = caption.text.encode("utf-8", "replace").decode()
        lines.append(json.dumps({"id": caption.id, "owner": caption.owner, "text": text}) + "\n")
    (tmp_path / "few.jsonl").write_text("".join(lines))
    program = [sys.executable, "-W", "error", "-m", "graphmatch.cli.main"]
    ran = subprocess.run(
        [*program, "corpus", "parse", "few.jsonl", "--out", "graphs", "--shard-size", "4",
         "--engine", "ray", "--workers", "2"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "HOME": str(tmp_path / "home")},
    )  # fmt: skip
    assert ran.returncode == 3, ran.stderr
    assert "8 captions: 5 became graphs, 3 failed" in ran.stdout
    assert "Error" not in ran.stderr
    assert not (tmp_path / "home").exists()
    local = [*program, "parse", "few.jsonl", "--out", "local", "--part-rows", "4"]
    assert subprocess.run(local, cwd=tmp_path, capture_output=True, check=False).returncode == 3
    assert content(tmp_path / "local") == content(tmp_path / "graphs")
