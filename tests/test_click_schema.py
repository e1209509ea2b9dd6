"""`ClickSchema` and what it is made of."""

from __future__ import annotations

import json

import pytest

from graphmatch.click_features import Feature, Sequence, Splitting, Statistic
from graphmatch.click_schema import ClickSchema
from graphmatch.errors import ConfigError
from tests.click_world import schema


def test_json_round_trip(tmp_path):
    whole = schema(label_from=3.5, order="rank", splitting=Splitting(by="time", train=0.5))
    assert ClickSchema.from_json(whole.to_json()) == whole
    (tmp_path / "a.json").write_text(whole.to_json())
    assert ClickSchema.load(tmp_path / "a.json") == whole


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON"),
        ("[]", "JSON object"),
        ('{"item": "a"}', "expected a value for label"),
        ('{"item": "a", "label": 3}', "label: expected a string"),
    ],
)
def test_damaged_json(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ConfigError, match=rf"a\.json: .*{message}"):
        ClickSchema.load(tmp_path / "a.json")
    with pytest.raises(ConfigError, match="no such file"):
        ClickSchema.load(tmp_path / "b.json")


def test_nearest_spelling():
    values = json.loads(schema().to_json())
    values["items"][0]["kind"] = "idss"
    with pytest.raises(ConfigError, match="one of 'ids'"):
        ClickSchema.from_json(json.dumps(values))
    values["items"][0] = {"name": "a", "kind": "ids", "mincount": 3}
    with pytest.raises(ConfigError, match="did you mean 'min_count'"):
        ClickSchema.from_json(json.dumps(values))
    with pytest.raises(ConfigError, match="unknown kind of a among context 'words'"):
        schema(context=(Feature(name="a", kind="words"),))


ids = Feature(name="a", kind="ids")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": ()}, "a feature or more"),
        ({"items": (ids, ids)}, "a twice"),
        ({"context": (Feature(name="brand", kind="ids"),)}, "brand twice"),
        ({"properties": (Feature(name="time", kind="ids"),)}, "time is the gap"),
        ({"user": None}, "columns of user and time"),
        ({"time": None}, "columns of user and time"),
        (
            {"items": (ids, Feature(name="b", kind="vector", modality="a"))},
            "modality a: expected ids and buckets",
        ),
        ({"items": (Feature(name="b", kind="ids", vocabulary="x"),)}, "unknown vocabulary of b"),
        (
            {"items": (Feature(name="b", kind="ids", size=4),
                       Feature(name="c", kind="ids", vocabulary="b"))},
            "has one of its own",
        ),
        ({"context": (Feature(name="b", kind="ids", modality="c"),)}, "only features of items"),
    ],
)  # fmt: skip
def test_schemas_that_make_no_sense(change, message):
    with pytest.raises(ConfigError, match=message):
        schema(**change)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Feature(name="a b", kind="ids"), "letters, digits"),
        (lambda: Feature(name="a", kind="ids", min_count=0), "min_count: expected at least 1"),
        (lambda: Feature(name="a", kind="words", size=4), "options of ids"),
        (lambda: Feature(name="a", kind="buckets", edges=(2, 1)), "ascending"),
        (lambda: Feature(name="a", kind="words", separator=""), "separator"),
        (lambda: Sequence(column="a", of="b", separator=""), "separator"),
        (lambda: Statistic(name="a", of="mean", over="train"), "contain the sample's own label"),
        (lambda: Statistic(name="a", of="positives", over="train"), "own label"),
        (lambda: Statistic(name="a", of="count", column="b"), "option of mean"),
        (lambda: Statistic(name="a", of="count", buckets=0), "at least 1"),
        (lambda: Splitting(train=0.9, test=0.8), "train <= test"),
        (lambda: Splitting(by="column"), "need each other"),
        (lambda: Splitting(column="split"), "need each other"),
    ],
)
def test_parts_that_make_no_sense(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
