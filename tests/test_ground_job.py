"""Moments of sentences in a video against the model and a plain loop; hard sentences and videos."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from graphmatch import ground_job
from graphmatch.clips.moments import query_words
from graphmatch.clips.sampling import Sampling
from graphmatch.datasets.captions import Caption
from graphmatch.errors import ConfigError, FormatError, GraphError
from graphmatch.graphs.batch import batch_graphs
from graphmatch.graphs.clip import ClipGraph
from graphmatch.graphs.words import word_graph
from graphmatch.ground_job import ground_sentences
from graphmatch.ground_video import clips_of_file
from graphmatch.models.drn import DRN, DRNConfig
from graphmatch.parse_job import caption_rows
from graphmatch.query_vocabulary import query_vocabulary
from tests.naive_moments import nms

VOCABULARY = query_vocabulary(["person opens the door.", "a dog runs, barks and sits"])
CONFIG = DRNConfig(
    vocabulary=len(VOCABULARY), feature_size=6, clips=8, word_size=4, hidden=5, position_size=3,
    channels=(4, 5, 6), pyramid_size=4, score_threshold=0.0,
)  # fmt: skip
SENTENCES = ["Person opens the door.", "a dog barks", "the dog sits, the person runs", "door"]


def build(**options):
    torch.manual_seed(0)
    model = DRN(replace(CONFIG, **options)).eval()
    for name, value in model.state_dict().items():
        if name.startswith("heads") and name.endswith("weight"):
            value.mul_(20)  # so that points differ
    return model


def video(clips=8, seconds=40.0):
    bounds = torch.linspace(0, seconds, clips + 1)
    x = torch.randn(clips, CONFIG.feature_size, generator=torch.Generator().manual_seed(clips))
    return ClipGraph(
        x=x, time=torch.stack((bounds[:-1], bounds[1:]), 1), duration=torch.tensor([seconds])
    )


@torch.no_grad()
def expected(model, clips, sentence, top=5, overlap=0.45, use_iou=True):
    graph = word_graph(VOCABULARY.encode(query_words(sentence)))
    text = model.encode_text(batch_graphs([graph], follow=("word",)))
    visual = model.encode_visual(batch_graphs([clips]))
    moments = model.decode(model.ground(visual, text, torch.tensor([0])), use_iou=use_iou)
    segments = moments.segment[0][moments.mask[0]].tolist()
    scores = moments.score[0][moments.mask[0]].tolist()
    found = [(*ends, score) for ends, score in zip(segments, scores, strict=True)]
    picks = nms(found, overlap)[:top]
    seconds = float(clips.duration)
    return [(segments[k][0] * seconds, segments[k][1] * seconds, scores[k]) for k in picks]


def numbers(query):
    return [(one.start, one.end, one.score) for one in query.moments]


@pytest.fixture
def assert_moments(assert_close):
    def check(query, wanted, scale=1.0):
        """Seconds are counted in shares of a video of 40."""
        unit = torch.tensor([40.0, 40.0, 1.0], dtype=torch.float64)
        found = torch.tensor(numbers(query), dtype=torch.float64) / unit
        found[:, :2] /= scale
        assert_close(found, torch.tensor(wanted, dtype=torch.float64) / unit)

    return check


@pytest.mark.parametrize("options", [{}, {"top": 2, "overlap": 0.2}, {"use_iou": False}])
def test_moments_are_those_of_the_model_after_suppression(options, assert_moments):
    model, clips = build(), video()
    found = ground_sentences(model, VOCABULARY, clips, SENTENCES, **options)
    for query, sentence in zip(found, SENTENCES, strict=True):
        wanted = expected(model, clips, sentence, **options)
        assert (query.sentence, query.error, query.fallback) == (sentence, None, False)
        assert_moments(query, wanted)
        assert len(query.moments) > 1


def test_parts_give_what_the_whole_gives(monkeypatch, assert_moments):
    model, clips = build(), video()
    whole = ground_sentences(model, VOCABULARY, clips, SENTENCES)
    monkeypatch.setattr(ground_job, "_MOST_NUMBERS", 2 * clips.x.numel())
    seen = []
    encode = DRN.encode_text
    monkeypatch.setattr(
        DRN, "encode_text", lambda self, texts: seen.append(texts.num_graphs) or encode(self, texts)
    )
    for query, other in zip(
        ground_sentences(model, VOCABULARY, clips, SENTENCES), whole, strict=True
    ):
        assert_moments(query, numbers(other))
    assert seen == [2, 2]


def test_the_model_keeps_its_mode():
    model = build().train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    ground_sentences(model, VOCABULARY, video(), SENTENCES)
    assert model.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_one_bad_sentence_never_stops_the_others(assert_moments):
    hard = ["", " ... ", "zwei Hunde bellen", ",", "person eats the door", "dog " * 1001]
    model, clips = build(), video()
    found = ground_sentences(model, VOCABULARY, clips, [hard[0], "a dog barks", *hard[1:]])
    errors = [query.error for query in found]
    assert errors[0] == errors[2] == "it has no words"
    assert errors[3] == errors[4] == "the model knows no word of it"
    assert found[3].unknown == ("zwei", "Hunde", "bellen")
    assert errors[1] is errors[5] is None
    assert found[5].unknown == ("eats",)
    assert errors[6] == "it has 1,001 words; expected at most 1,000"
    assert [bool(query.moments) for query in found] == [query.error is None for query in found]
    assert_moments(found[1], expected(model, clips, "a dog barks"))
    assert ground_sentences(model, VOCABULARY, clips, []) == []
    assert ground_sentences(model, VOCABULARY, clips, [""])[0].error == "it has no words"


def test_a_sentence_of_300_words(assert_moments):
    sentence = " ".join(SENTENCES).replace(".", "") + " the dog" * 142 + " barks"
    assert len(query_words(sentence)) == 300
    model, clips = build(), video()
    found = ground_sentences(model, VOCABULARY, clips, ["door", sentence])
    for query in found:
        wanted = expected(model, clips, query.sentence)
        assert_moments(query, wanted)


def test_nothing_above_the_threshold_is_the_whole_video():
    found = ground_sentences(build(score_threshold=0.999), VOCABULARY, video(), ["door"])
    assert found[0].fallback
    assert numbers(found[0]) == [(0.0, 40.0, 1.0)]


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize(("clips", "seconds"), [(1, 0.04), (1, 0.0), (7, 5.0), (10800, 10800.0)])
def test_videos_of_any_length_with_masks(clips, seconds, cut):
    model = build(mask_padding=True, cut_upsampling=cut)
    for query in ground_sentences(model, VOCABULARY, video(clips, seconds), SENTENCES[:2]):
        assert query.error is None
        assert query.moments
        for one in query.moments:
            assert 0 <= one.start <= one.end <= seconds + 1e-9


def test_a_long_video_in_few_clips(assert_moments):
    model, clips = build(), video(8, 10800.0)
    short = ground_sentences(model, VOCABULARY, video(8, 40.0), SENTENCES)
    for query, other in zip(
        ground_sentences(model, VOCABULARY, clips, SENTENCES), short, strict=True
    ):
        assert_moments(query, numbers(other), scale=270)


def test_videos_and_options_that_do_not_fit():
    model = build()
    thin = video()
    thin.x = thin.x[:, :5]
    empty = ClipGraph(x=torch.zeros(0, 6), time=torch.zeros(0, 2), duration=torch.tensor([1.0]))
    with pytest.raises(GraphError, match=r"8 clips.*got 7\); --frames 8"):
        ground_sentences(model, VOCABULARY, video(7), SENTENCES)
    with pytest.raises(GraphError, match="clips of 6 numbers"):
        ground_sentences(model, VOCABULARY, thin, SENTENCES)
    with pytest.raises(GraphError, match="got 0"):
        ground_sentences(build(mask_padding=True), VOCABULARY, empty, SENTENCES)
    for options in ({"top": 0}, {"overlap": -0.1}, {"overlap": float("nan")}, {"rows": []}):
        with pytest.raises(ConfigError, match="expected"):
            ground_sentences(model, VOCABULARY, video(), SENTENCES, **options)


def test_a_model_with_graph_layers_reads_dependencies(parser):
    model, clips = build(graph_layers=1), video()
    torch.nn.init.normal_(model.text.graph[0].context.weight)
    texts = ["person opens the door.", "a dog barks"]
    rows = caption_rows(
        [Caption(id=str(number), text=text) for number, text in enumerate(texts)],
        parser=parser,
        graph="dependencies",
    )
    plain = ground_sentences(model, VOCABULARY, clips, texts)
    assert plain[0].note == "read without dependencies: it was not parsed"
    found = ground_sentences(model, VOCABULARY, clips, texts, rows=rows)
    assert found[0].note is None
    assert numbers(found[0]) != numbers(plain[0])
    swapped = ground_sentences(model, VOCABULARY, clips, texts, rows=rows[::-1])
    assert "the parse of this query" in swapped[0].note
    assert numbers(swapped[0]) == numbers(plain[0])
    off = build()
    assert ground_sentences(off, VOCABULARY, clips, texts, rows=rows) == ground_sentences(
        off, VOCABULARY, clips, texts
    )


class Mean:
    """A backbone of six numbers: the grey of a frame, and its place in a base."""

    name, version, side, channels = "mean", "1", 8, (6,)
    device = torch.device("cpu")

    def maps(self, images):
        grey = images.float().mean(dim=(1, 2, 3)) / 255
        return [(grey[:, None] ** torch.arange(1.0, 7))[:, :, None, None]]


def y4m(path, frames):
    content = b"".join(b"FRAME\n" + bytes([20 * number % 256]) * 2 for number in range(frames))
    path.write_bytes(b"YUV4MPEG2 W2 H1 F10:1 Cmono\n" + content)
    return path


@pytest.mark.parametrize("frames", [1, 5, 300])
def test_a_file_becomes_as_many_clips_as_the_model_reads(tmp_path, frames):
    model = build()
    clips = clips_of_file(model, y4m(tmp_path / "v.y4m", frames), backbone=Mean())
    assert clips.x.shape == (8, 6)
    assert float(clips.duration) == pytest.approx(frames / 10)
    found = ground_sentences(model, VOCABULARY, clips, SENTENCES)
    assert all(one.end <= frames / 10 + 1e-6 for query in found for one in query.moments)


def test_files_that_do_not_fit(tmp_path):
    path, model = y4m(tmp_path / "v.y4m", 5), build()
    with pytest.raises(GraphError, match="got 5"):
        clips_of_file(model, path, backbone=Mean(), sampling=Sampling(every=1))
    masked = build(mask_padding=True)
    assert len(clips_of_file(masked, path, backbone=Mean(), sampling=Sampling(every=1)).x) == 5
    with pytest.raises(ConfigError, match="backbone of 7 numbers"):
        clips_of_file(build(feature_size=7), path, backbone=Mean())
    with pytest.raises(ConfigError, match="expected a video file"):
        clips_of_file(model, tmp_path / "kitchen", backbone=Mean())
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(FormatError):
        clips_of_file(model, tmp_path / "bad.mp4", backbone=Mean())
