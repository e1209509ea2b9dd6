"""`graphmatch regions`: the command, on drawn scenes and on odd images."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graphmatch.feature_store import FeatureStore
from tests.regions.odd_images import make_odd_images
from tests.regions.tiny_detectors import save_tiny_detectors


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Three drawn photographs with annotated boxes; the third has none."""
    folder = tmp_path_factory.mktemp("scenes")
    images, annotations = [], []
    for number in range(3):
        pixels = np.full((60, 80, 3), 40 * number, np.uint8)
        pixels[10:40, 5:25] = (220, 40, 40)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 80, "height": 60})
        if number < 2:
            box = {"bbox": [5, 10, 20, 30], "area": 600, "iscrowd": 0, "category_id": 7}
            annotations.append({"id": number + 1, "image_id": number, **box})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 7, "name": "ball"}],
    }
    (folder / "boxes.json").write_text(json.dumps(content))
    return folder


def test_a_folder_becomes_a_store(run, scenes, tmp_path):
    out = tmp_path / "store"
    code, text, err = run("regions", scenes, "--detector", scenes / "boxes.json", "--out", out)
    assert (code, err) == (0, "")
    assert "3 images: 3 done, with 5 regions; 0 failed" in text
    store = FeatureStore(out)
    store.verify()
    assert store.ids == ["0", "1", "2"]
    graph = store.graph("0")
    graph.validate()
    np.testing.assert_allclose(graph.box[0], [5 / 80, 10 / 60, 25 / 80, 40 / 60], rtol=1e-6)
    assert graph.x.shape == (2, 112 + 1280)
    assert graph.label.tolist() == [0, -1]
    code, text, _ = run("regions", scenes, "--detector", scenes / "boxes.json", "--out", out)
    assert code == 0
    assert "3 images were kept from an earlier run" in text


def test_coco_json_tar_list_and_standard_input_give_the_same(run, scenes, tmp_path):
    with tarfile.open(tmp_path / "images.tar", "w") as archive:
        for number in range(3):
            archive.add(scenes / f"{number}.png", f"{number}.png")
    names = "".join(f"{scenes / f'{number}.png'}\n" for number in range(3))
    (tmp_path / "list.txt").write_text("".join(f"{k}\t{scenes}/{k}.png\n" for k in range(3)))
    options = ("--detector", scenes / "boxes.json", "--features", "none", "--no-whole-image")
    stores = []
    for number, (source, stdin) in enumerate(
        [
            (scenes / "boxes.json", b""),
            (tmp_path / "images.tar", b""),
            (tmp_path / "list.txt", b""),
            ("-", "".join(f"{k}\t{n}\n" for k, n in enumerate(names.split())).encode()),
            (f"{scenes}/*.png", b""),
        ]
    ):
        out = tmp_path / f"s{number}"
        code, text, err = run("regions", source, *options, "--out", out, stdin=stdin)
        assert code == 0, (source, text, err)
        stores.append({path.name: path.read_bytes() for path in sorted(out.iterdir())})
    assert all(store == stores[0] for store in stores)
    assert FeatureStore(tmp_path / "s0").rows("feature", 0).shape == (1, 0)


@pytest.mark.slow
def test_odd_images_good_ones_done_bad_ones_counted(run, tmp_path):
    expected = make_odd_images(tmp_path / "odd")
    assert len(expected) >= 50
    content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "x"}]}
    for name in expected:
        content["images"].append({"id": Path(name).stem, "file_name": name})
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    out = tmp_path / "store"
    arguments = ("--detector", tmp_path / "boxes.json", "--out", out, "--dtype", "float16")
    code, text, err = run("regions", tmp_path / "odd", *arguments)
    assert code == 3, err
    bad = {name: word for name, word in expected.items() if word != "good"}
    assert f"{len(expected):,} images: {len(expected) - len(bad)} done" in text
    assert f"{len(bad)} failed" in text
    store = FeatureStore(out)
    errors = dict(store.failures)
    assert len(store) == len(expected)
    for name, word in expected.items():
        key = str(Path(name).with_suffix(""))
        assert key in store, name
        if word == "good":
            assert store[key].error is None, (name, errors.get(key))
            assert np.isfinite(store[key].columns["feature"]).all()
            assert len(store[key]) == 1  # the whole image
        else:
            assert word in errors[key], name
    before = {path.name: path.read_bytes() for path in sorted(out.iterdir())}
    assert run("regions", tmp_path / "odd", *arguments)[0] == 3
    assert {path.name: path.read_bytes() for path in sorted(out.iterdir())} == before


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("none.jpg",), "none.jpg"),
        (("{scenes}", "--detector", "d.onx"), "expected a detector"),
        (("{scenes}", "--detector", "d.onnx"), "no such file"),
        (("{scenes}", "--detector", "voc:nowhere"), "no such folder"),
        (("{scenes}", "--phrase", "a dog"), "no phrases"),
        (("{scenes}", "--features", "efficientnet_lite0"), "did you mean 'efficientnet-lite0'"),
        (("{scenes}", "--features", "none", "--projection", "p.npz"), "features to project"),
        (("{scenes}", "--dtype", "float8"), "unknown dtype"),
    ],
)
def test_wrong_options_are_one_line(run, scenes, tmp_path, arguments, problem):
    given = [argument.format(scenes=scenes) for argument in arguments]
    if "--detector" not in given:
        given += ["--detector", str(scenes / "boxes.json")]
    code, _, err = run("regions", *given, "--out", tmp_path / "store")
    assert code == 1
    assert problem in err
    assert err.count("\n") == 1


def test_another_job_is_refused_without_force(run, scenes, tmp_path):
    base = ("regions", scenes, "--detector", scenes / "boxes.json", "--features", "none")
    out = tmp_path / "store"
    assert run(*base, "--out", out)[0] == 0
    code, _, err = run(*base, "--out", out, "--top", 3)
    assert code == 1
    assert "top: 20 -> 3" in err
    assert run(*base, "--out", out, "--top", 3, "--force")[0] == 0


@pytest.mark.slow
def test_detectors_of_transformers_store_their_own_embeddings(run, scenes, tmp_path):
    save_tiny_detectors(tmp_path, ("rt_detr_v2", "owlv2"))
    base = ("regions", scenes, "--features", "none", "--least-score", 0, "--overlap", 1)
    out = tmp_path / "queries"
    code, _, err = run(*base, "--detector", tmp_path / "rt_detr_v2", "--out", out, "--top", 5)
    assert code == 0, err
    store = FeatureStore(out)
    assert store.labels == ("cat", "dog", "tree")
    assert store.rows("feature", 0).shape == (6, 32)  # five queries and their mean
    np.testing.assert_allclose(
        store.rows("feature", 0)[:5].mean(axis=0), store.rows("feature", 0)[5], atol=1e-5
    )
    out = tmp_path / "phrases"
    phrases = ("--phrase", "a cat", "--phrase", "dog")
    code, _, err = run(*base, "--detector", tmp_path / "owlv2", "--out", out, *phrases)
    assert code == 0, err
    assert FeatureStore(out).labels == ("a cat", "dog")
    code, _, err = run(*base, "--detector", tmp_path / "owlv2", "--out", tmp_path / "none")
    assert code == 1
    assert "phrase" in err


@pytest.mark.slow
def test_picodet_finds_what_people_annotated(run, data, tmp_path):
    model = data / "detector_picodet" / "picodet_s_416_coco.onnx"
    out = tmp_path / "store"
    photos = sorted((data / "coco_photos" / "full").glob("*.jpg"))[:6]
    code, text, err = run("regions", *photos, "--detector", model, "--out", out, "--threads", 1)
    assert code == 0, err
    assert "6 images: 6 done" in text
    code, text, _ = run("info", out, "--json")
    assert json.loads(text)["labels"]["person"] >= 1
