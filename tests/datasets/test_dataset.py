from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.datasets.captions import Caption
from graphmatch.datasets.dataset import DataSet, Visual
from graphmatch.datasets.splits import assign_splits, owner_splits
from graphmatch.errors import ConfigError


def video(id, **fields):
    return Visual(id=id, kind="video", **fields)


def caption(id, owner, text="A dog runs.", **fields):
    return Caption(id=id, owner=owner, text=text, **fields)


def data_set(visuals, captions):
    return DataSet(name="tiny", visuals=tuple(visuals), captions=tuple(captions))


def errors(visuals, captions, **options):
    return [record.error for record in data_set(visuals, captions).check(**options).errors]


SHARED = data_set(
    [video("a", split="train"), video("b", split="val"), video("c"), video("d")],
    [
        caption("1", "a"),
        caption("2", "b"),
        caption("3", "c", split="val"),
        caption("4", "c", split="test"),
        caption("5", "a"),
        caption("6", "x", split="test"),
        caption("7", None),
    ],
)


def test_captions_are_found_by_their_owner_in_order():
    assert [c.id for c in SHARED.captions_of("a")] == ["1", "5"]
    assert SHARED.captions_of("d") == ()
    assert SHARED.visual("b").split == "val"
    for ask in (SHARED.captions_of, SHARED.visual):
        with pytest.raises(KeyError, match="'x' in tiny"):
            ask("x")


def test_splits_count_visuals_by_their_own_split_or_by_their_captions():
    assert SHARED.splits == {"train": (1, 2, 0), "val": (2, 2, 0), "test": (1, 2, 0)}


def test_split_takes_a_visual_with_the_captions_of_the_split_only():
    test = SHARED.split("test")
    assert [v.id for v in test.visuals] == ["c"]
    assert [c.id for c in test.captions] == ["4", "6"]
    assert [c.id for c in test.captions_of("c")] == ["4"]
    both = SHARED.split("val", "train")
    assert [v.id for v in both.visuals] == ["a", "b", "c"]
    assert [c.id for c in both.captions] == ["1", "2", "3", "5"]


def test_split_of_another_name_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown split 'trian'.*did you mean 'train'"):
        SHARED.split("train", "trian")
    with pytest.raises(ConfigError, match="read without splits"):
        data_set([video("a")], [caption("1", "a")]).split("train")


def test_check_finds_each_kind_of_error():
    found = data_set(
        [
            video("a", duration=9.0, split="train"),
            video("a", duration=5.0),
            video("b", duration=0.0),
            Visual(id="c", kind="image", size=(640, 0)),
            video("d", error="no file"),
        ],
        [
            caption("1", "a"),
            caption("1", "a"),
            caption("2", None),
            caption("3", "x"),
            caption("4", "a", " \n"),
            caption("5", "a", split="test"),
            caption("6", "d", error="invalid UTF-8"),
            caption("7", "d"),
        ],
    ).check()
    assert [(record.id, record.error) for record in found.errors] == [
        ("a", "duplicate id 'a': an earlier video has it"),
        ("b", "duration: expected a positive number of seconds (got 0.0)"),
        ("c", "size: expected positive numbers (got (640, 0))"),
        ("d", "no file"),
        ("1", "duplicate id '1': an earlier caption has it"),
        ("2", "expected the id of an image or video (got none)"),
        ("3", "owner 'x': no such image or video"),
        ("4", "expected a caption (got an empty one)"),
        ("5", "split 'test': its video is in 'train'"),
        ("6", "invalid UTF-8"),
    ]
    assert (len(found.visuals), len(found.captions)) == (5, 8)
    assert found.splits["train"] == (1, 3, 2)
    usable = found.usable()
    assert [v.id for v in usable.visuals] == ["a"]
    assert [c.id for c in usable.captions] == ["1"]
    assert usable.errors == ()


def test_nan_as_duration_is_an_error():
    assert "duration" in errors([video("a", duration=float("nan"))], [])[0]


@pytest.mark.parametrize(
    ("moment", "clip", "problem"),
    [
        ((0.0, 9.0), False, None),
        ((3.0, 3.0), False, None),
        ((0.0, 9.5), True, None),
        ((9.0, 9.5), True, None),
        ((0.0, 9.5), False, "inside 0 to 9 s (got 0 to 9.5 s)"),
        ((9.1, 9.5), True, "inside 0 to 9 s (got 9.1 to 9.5 s)"),
        ((-1.0, 2.0), True, "inside 0 to 9 s (got -1 to 2 s)"),
        ((5.0, 4.0), True, "expected start <= end (got 5 to 4 s)"),
        ((float("nan"), 4.0), True, "expected start <= end"),
        ((0.0, float("inf")), False, "inside 0 to 9 s (got 0 to inf s)"),
    ],
)
def test_moments_lie_inside_their_video(moment, clip, problem):
    checked = data_set([video("a", duration=9.0)], [caption("1", "a", moment=moment)])
    one = checked.check(clip_moments=clip).captions[0]
    if problem is None:
        assert one.error is None
        assert one.moment == (moment[0], min(moment[1], 9.0))
    else:
        assert problem in one.error
        assert one.moment is moment


def test_moment_in_a_video_of_unknown_length_has_no_upper_end():
    moments = [(0.0, 1e6), (2.0, 1.0), (-1.0, 1.0)]
    captions = [caption(str(n), "a", moment=moment) for n, moment in enumerate(moments)]
    assert [bool(c.error) for c in data_set([video("a")], captions).check().captions] == [
        False,
        True,
        True,
    ]


IDS = st.sampled_from("abcd")
SPLITS = st.sampled_from([None, "train", "val"])
NUMBERS = st.floats(-2, 12)


@given(
    st.lists(st.tuples(IDS, SPLITS, NUMBERS), max_size=5),
    st.lists(st.tuples(IDS, IDS, SPLITS, NUMBERS, NUMBERS), max_size=8),
    st.booleans(),
)
def test_check_keeps_every_record_and_usable_ones_are_sound(visuals, captions, clip):
    whole = data_set(
        [video(id, split=split, duration=length) for id, split, length in visuals],
        [caption(i, o, split=s, moment=(a, b)) for i, o, s, a, b in captions],
    )
    checked = whole.check(clip_moments=clip)
    assert [v.id for v in checked.visuals] == [v.id for v in whole.visuals]
    assert [c.id for c in checked.captions] == [c.id for c in whole.captions]
    again = checked.check(clip_moments=clip)
    assert (again.visuals, again.captions) == (checked.visuals, checked.captions)
    usable = checked.usable()
    assert usable.check().errors == ()
    for one in usable.captions:
        start, end = one.moment
        assert 0 <= start <= end <= usable.visual(one.owner).duration
    for name, counts in checked.splits.items():
        part = checked.split(name)
        assert counts == (len(part.visuals), len(part.captions), len(part.errors))


def test_splits_of_owners():
    captions = [
        caption("1", "b", split="val"),
        caption("2", "a", split="train"),
        caption("3", "b", split="test"),
        caption("4", None, split="test"),
        caption("5", "c"),
    ]
    assert owner_splits(captions) == {"b": None, "a": "train", "c": None}
    assert list(owner_splits(captions)) == ["b", "a", "c"]


def test_splits_by_lists():
    lists = {"train": ["a", "b", "a"], "val": ["b", "x"]}
    found = assign_splits([video("a", split="old"), video("b"), video("c", split="old")], lists)
    assert [(v.id, v.split, v.error) for v in found] == [
        ("a", "train", None),
        ("b", "train", "expected it in one list (got train, val)"),
        ("c", None, None),
        ("x", "val", "listed, but no caption file has it"),
    ]


def test_repr_tells_the_counts():
    assert repr(SHARED) == (
        "DataSet(tiny: 4 visuals, 7 captions, train 1/2, val 2/2, test 1/2; 0 errors)"
    )


def test_readers_do_not_load_torch():
    names = "activitynet charades_sta coco flickr hgr_folder msrvtt scan_folder tacos"
    code = (
        "import sys\n"
        f"for name in {names.split()!r}:\n"
        "    __import__('graphmatch.datasets.' + name)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("False", "")
