"""MovieLens, Amazon reviews, FuxiCTR and Alimama as click logs."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from graphmatch.click_job import encode_clicks
from graphmatch.click_loader import ClickLoader
from graphmatch.click_log import Skipped, file_log
from graphmatch.click_schema import ClickSchema
from graphmatch.click_store import ClickStore
from graphmatch.datasets.alimama import read_alimama
from graphmatch.datasets.amazon_reviews import read_amazon_reviews, read_products
from graphmatch.datasets.fuxictr import fuxictr_schema, read_fuxictr
from graphmatch.datasets.movielens import movielens_schema, read_movielens, read_movies
from graphmatch.errors import ConfigError, FormatError


def test_movielens_is_split_as_its_readme_says(data, tmp_path):
    folder = data / "ml-latest-small"
    report = encode_clicks(read_movielens(folder), tmp_path / "s")
    assert report.left_out == 0
    assert report.notes == []
    assert (report.counts["users"], report.counts["items"]) == (610, 9742)
    store = ClickStore(tmp_path / "s")
    with np.load(folder / "split.npz") as wanted:
        assert (store.sample("row") == wanted["row"]).all()
        assert (store.sample("split") == wanted["split"]).all()
    label = store.sample("label")
    means = [label[store.split(name)].mean() for name in ("train", "valid", "test")]
    assert [round(float(mean), 3) for mean in means] == [0.486, 0.455, 0.476]
    assert [len(store.split(name)) for name in ("train", "valid", "test")] == [80419, 10059, 10358]
    item, seen = store.sample("item"), {*store.sample("item")[store.split("train")].tolist()}
    unseen = [
        np.mean([k not in seen for k in item[store.split(n)].tolist()]) for n in ("valid", "test")
    ]
    assert [round(100 * float(part), 1) for part in unseen] == [7.4, 9.3]
    length = store.sample("length")
    assert (np.median(length), length.max()) == (143, 2697)
    # a film that training has not is unknown, and all behaviours are before their sample
    ids = store.item("ids")[:, 0]
    assert all((ids[k] == 1) == (k not in seen) for k in range(len(ids)))
    batch = ClickLoader(store, "test", batch_size=256, shuffle=False)[0, 3]
    batch.check()
    assert batch.properties["type"].max() == 3
    assert (store.sample("time") >= 0).all()


def test_the_films_of_movielens(data):
    folder = data / "ml-latest-small"
    table = read_movies(folder / "movies.csv", folder / "tags.csv")
    assert table["year"].null_count == 13
    assert table["genres"].null_count == 34
    tags = np.array(table["tags"])
    assert (tags.sum(), (tags > 0).sum()) == (3683, 1572)
    assert table["title"][0].as_py() == "Toy Story"
    from graphmatch.click_columns import lists

    lengths, words = lists(table["title"], "title", None)
    assert len(words.unique()) == 9432
    assert lengths.max() == 29
    assert round(float(lengths.mean()), 1) == 3.3


def test_movielens_that_is_not_there(tmp_path):
    with pytest.raises(FormatError, match=r"ratings\.csv"):
        read_movielens(tmp_path / "none")
    (tmp_path / "movies.csv").write_text("movieId,titel,genres\n1,A (1995),Drama\n")
    with pytest.raises(ConfigError, match="did you mean 'titel'"):
        read_movielens(tmp_path)
    assert movielens_schema(user=True).context[0].source == "userId"


def reviews(tmp_path, lines):
    path = tmp_path / "reviews.json.gz"
    text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode()))
    return path


def review(user, item, time, stars=5.0):
    return {"reviewerID": user, "asin": item, "unixReviewTime": time, "overall": stars}


def test_amazon_reviews(tmp_path):
    lines = [
        review("u", "a", 9, 1.0), review("v", "b", 1), review("u", "b", 3, 2.0), "{broken\n",
        review("u", "c", 9, 4.0), review("v", "a", 2), review("w", "c", 5), {"asin": "a"},
    ]  # fmt: skip
    path = reviews(tmp_path, lines)
    report = encode_clicks(read_amazon_reviews(path), tmp_path / "s")
    assert report.left_out == 2
    assert "expected a JSON object" in report.skipped[0]
    assert report.skipped[0].endswith("(rows 3, 7)")
    assert report.counts["behaviours"] == 6
    assert (report.counts["train"], report.counts["test"]) == (2, 4)
    store = ClickStore(tmp_path / "s")
    users, items = store.user_keys(), store.item_keys()
    found = []
    for k in range(len(store)):
        first, length = store.sample("first")[k], store.sample("length")[k]
        piece = slice(first, first + length)
        found.append(
            (
                users[store.sample("user")[k]],
                items[store.sample("item")[k]],
                int(store.sample("label")[k]),
                [items[i] for i in store.behaviour("item")[piece]],
                store.behaviour("property")[piece, 0].tolist(),
            )
        )
    clicks = [row for row in found if row[2]]
    assert clicks == [
        ("u", "a", 1, ["b"], [2]),
        ("u", "c", 1, ["b", "a"], [2, 1]),
        ("v", "a", 1, ["b"], [5]),
    ]
    others = [row for row in found if not row[2]]
    assert [row[0] for row in others] == ["u", "u", "v"]
    for own, other in zip(clicks, others, strict=True):
        assert own[1] != other[1]
        assert own[3:] == other[3:]  # both stand after the same reviews


def test_others_are_drawn_by_popularity(tmp_path):
    lines = [review(f"u{k}", "often" if k % 4 else "rare", 1) for k in range(400)]
    lines += [review(f"u{k}", "mine", 2) for k in range(400)]
    path = reviews(tmp_path, lines)
    one, two, same = (read_amazon_reviews(path, seed=seed) for seed in (0, 1, 0))
    batch = next(one.read(Skipped())).columns
    assert batch.equals(next(same.read(Skipped())).columns)
    assert not batch.equals(next(two.read(Skipped())).columns)
    drawn = [row["asin"] for row in batch.to_pylist() if row["label"] == 0]
    assert len(drawn) == 400
    assert "mine" not in drawn
    assert 250 < drawn.count("often") < 350


def test_amazon_products(tmp_path):
    path = tmp_path / "meta.json"
    path.write_text(
        "{'asin': 'a', 'categories': [['Toys', 'Puzzles']], 'price': 3.5, 'title': 'A cube'}\n"
        '{"asin": "b", "category": ["Toys"], "price": "$4", "brand": "x"}\nbroken\n\n'
    )
    assert read_products(path).to_pylist() == [
        {"asin": "a", "category": "Puzzles", "brand": None, "title": "A cube", "price": 3.5},
        {"asin": "b", "category": "Toys", "brand": "x", "title": None, "price": 4.0},
    ]
    lines = [review("u", item, k) for k, item in enumerate("abcab")]
    log = read_amazon_reviews(reviews(tmp_path, lines), metadata=path)
    report = encode_clicks(log, tmp_path / "s")
    assert report.notes == ["1 items of the log are not in the table of items"]
    path.write_text("broken\n")
    with pytest.raises(FormatError, match="products"):
        read_products(path)
    with pytest.raises(FormatError, match="two products"):
        read_amazon_reviews(reviews(tmp_path, [review("u", "a", 1), review("u", "a", 2)]))
    with pytest.raises(FormatError, match="reviewerID"):
        read_amazon_reviews(reviews(tmp_path, ["broken\n"]))


@pytest.mark.parametrize(
    ("folder", "items", "context", "steps"),
    [("tiny_seq", 1, 13, True), ("tiny_npz", 5, 9, False), ("tiny_parquet", 5, 9, False)],
)
def test_fuxictr(data, tmp_path, folder, items, context, steps):
    source = data / "fuxictr_tiny" / folder
    report = encode_clicks(read_fuxictr(source), tmp_path / "s")
    assert report.notes == []
    assert [report.counts[name] for name in ("train", "valid", "test")] == [100, 100, 100]
    store = ClickStore(tmp_path / "s")
    assert len(store.modalities[0]["sizes"]) == items
    assert len(store.context["sizes"]) == context
    assert (report.counts["behaviours"] > 0) is steps
    if folder != "tiny_parquet":
        with np.load(source / "train.npz") as arrays:
            train = store.split("train")
            order = np.argsort(store.sample("row")[train])
            ids = store.item(store.modalities[0]["name"])[store.sample("item")[train][order]]
            column = store.modalities[0]["features"].index("adgroup_id")
            assert (ids[:, column] == arrays["adgroup_id"]).all()
            assert (store.sample("label")[train][order] == arrays["clk"]).all()
            if steps:
                counts = (arrays["click_sequence"] > 0).sum(axis=1)
                assert (store.sample("length")[train][order] == counts).all()


def test_raw_rows_of_fuxictr(data, tmp_path):
    folder = data / "fuxictr_tiny" / "tiny_csv"
    text = """{"user": "userid", "item": "adgroup_id", "label": "clk", "time": "time_stamp",
     "behaviours": "sequences", "splitting": {"by": "file"},
     "items": [{"name": "ad", "kind": "ids", "column": "adgroup_id", "modality": "ids"},
               {"name": "cate_id", "kind": "ids", "modality": "ids"},
               {"name": "price", "kind": "buckets"}],
     "context": [{"name": "new_user_class_level", "kind": "ids"}],
     "sequences": [{"column": "click_sequence", "of": "ad"}]}"""
    files = {name: folder / f"{name}_sample.csv" for name in ("train", "valid", "test")}
    report = encode_clicks(file_log(ClickSchema.from_json(text), files), tmp_path / "s")
    assert report.left_out == 0
    store = ClickStore(tmp_path / "s")
    lines = files["train"].read_text().splitlines()[1:]
    wanted = [len([s for s in line.split(",")[-1].split("^") if s]) for line in lines]
    train = store.split("train")
    found = store.sample("length")[train][np.argsort(store.sample("row")[train])]
    assert found.tolist() == wanted
    assert (store.sample("context_ids") == 0).any()  # often empty


def test_feature_maps_that_are_none(tmp_path):
    with pytest.raises(FormatError, match="features and labels"):
        fuxictr_schema({})
    spec = {"labels": ["clk"], "features": [{"a": {"type": "categorical", "vocab_size": 3}}]}
    with pytest.raises(ConfigError, match="which feature is the item"):
        fuxictr_schema(spec)
    assert fuxictr_schema(spec, item="a").behaviours == "none"
    spec["features"][0]["a"].pop("vocab_size")
    with pytest.raises(FormatError, match="vocab_size"):
        fuxictr_schema(spec, item="a")
    with pytest.raises(FormatError, match=r"train\.parquet"):
        read_fuxictr(tmp_path)
    with pytest.raises(FormatError, match="folder"):
        read_fuxictr(tmp_path / "none")


def test_alimama(data, tmp_path):
    source = data / "alimama_sample" / "alimama_sampled_train.txt"
    lines = source.read_text().splitlines()
    path = tmp_path / "a.txt"
    path.write_text("\n".join([*lines, "1,2,3"]) + "\n")
    report = encode_clicks(read_alimama(path), tmp_path / "s")
    assert report.skipped == ["1 row: expected 267 numbers (row 500)"]
    assert report.counts["samples"] == 500
    assert report.counts["users"] == 230
    assert report.counts["behaviours"] == 50 * 500 - 121
    store = ClickStore(tmp_path / "s")
    assert store.sample("label").sum() == 210
    assert (store.sample("length") == 50).sum() == 496
    types = store.encoder.values["type"].to_pylist()
    counts = np.bincount(store.behaviour("property")[:, 0])[2:]
    train = np.array(types)[np.argsort(-counts)]
    assert train.tolist() == ["1", "3", "4", "2"]
    split = store.sample("split")
    for user in np.unique(store.sample("user")):
        assert len({*split[store.sample("user") == user].tolist()}) == 1
    path.write_text("1,2\n")
    with pytest.raises(FormatError, match="267 numbers"):
        read_alimama(path)
    with pytest.raises(ConfigError, match="train <= test"):
        read_alimama(path, train=2)
