"""Dependencies of a parser's words moved to the words of queries, alone and in a `MomentSet`."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphmatch.clips.moments import query_words
from graphmatch.columns import GraphColumns
from graphmatch.datasets.captions import Caption
from graphmatch.datasets.charades_sta import read_charades_sta
from graphmatch.datasets.dataset import DataSet, Visual
from graphmatch.errors import GraphError
from graphmatch.feature_record import FeatureRecord
from graphmatch.feature_store import FeatureStore
from graphmatch.feature_writer import FeatureWriter
from graphmatch.graphs.text import RELATIONS
from graphmatch.moment_set import MomentSet, collate_queries
from graphmatch.parse_job import caption_rows, parse_captions
from graphmatch.query_dependencies import query_dependencies
from graphmatch.query_vocabulary import query_vocabulary
from graphmatch.rows import CaptionRow
from graphmatch.store import GraphStore


def tree(count, *edges):
    numbers = tuple(range(count))
    return GraphColumns(
        kind=("word",) * count, role=("",) * count, span_node=numbers, span_word=numbers,
        source=tuple(edge[0] for edge in edges), target=tuple(edge[1] for edge in edges),
        relation=tuple(edge[2] for edge in edges),
    )  # fmt: skip


def moved(words, parsed, *edges):
    graph = query_dependencies(words.split(), parsed.split(), tree(len(parsed.split()), *edges))
    assert graph.kind == ("word",) * len(words.split())
    return [*zip(graph.source, graph.target, graph.relation, strict=True)]


def test_words_that_differ():
    edges = ((1, 0, "nsubj"), (3, 2, "det"), (1, 3, "obj"), (1, 4, "punct"))
    same = [*edges[:3]]
    assert moved("person opens the door", "Person opens the door .", *edges) == same
    assert moved("opens it the box", "opens it .the box", (0, 1, "obj"), (3, 2, "det")) == [
        (0, 1, "obj"), (3, 2, "det"),
    ]  # fmt: skip
    # one of the parser's words is two of the query's
    assert moved("dogs can not run", "dogs cannot run", (2, 0, "nsubj"), (2, 1, "aux")) == [
        (3, 0, "nsubj"), (3, 1, "aux"), (1, 2, "dep"),
    ]  # fmt: skip
    # borders cross: "ab c" and "a bc"
    assert moved("ab c", "a bc", (1, 0, "det")) == [(0, 1, "dep")]
    assert moved("`` hi ''", '" hi "', (1, 0, "punct"), (1, 2, "punct")) == [
        (1, 0, "punct"), (1, 2, "punct"),
    ]  # fmt: skip
    assert moved("t-shirt", "t - shirt", (2, 0, "compound"), (2, 1, "punct")) == []
    assert moved("e\u0301te\u0301", "\u00e9t\u00e9") == []
    # two edges between the same words: the first stays
    assert moved("a b-c", "a b - c", (0, 1, "obj"), (0, 3, "obl"), (3, 0, "dep")) == [
        (0, 1, "obj"), (1, 0, "dep"),
    ]  # fmt: skip


def test_other_texts_and_graphs_are_refused():
    with pytest.raises(GraphError, match="the parse of this query, 'a dog'"):
        moved("a dog", "a cat", (1, 0, "det"))
    with pytest.raises(GraphError, match="graph of 1 words"):
        query_dependencies(["dog"], ["dog"], tree(2))


@given(st.text("ab. -'", max_size=12), st.data())
def test_any_two_ways_to_cut_a_text(text, data):
    words = query_words(text)
    joined = "".join("".join(words).split())
    cuts = data.draw(st.sets(st.integers(1, max(1, len(joined) - 1))))
    borders = [0, *sorted(cut for cut in cuts if cut < len(joined)), len(joined)]
    parsed = [joined[a:b] for a, b in pairwise(borders)]
    heads = [(number - 1, number, "obj") for number in range(1, len(parsed))]
    graph = query_dependencies(words, parsed, tree(len(parsed), *heads))
    edges = {*zip(graph.source, graph.target, strict=True)}
    assert len(edges) == len(graph.source)
    assert all(source != target for source, target in edges)
    # a chain over the text stays in one piece
    reached = {0} if words else set()
    for _ in words:
        reached |= {a for a, b in edges if b in reached} | {b for a, b in edges if a in reached}
    assert reached == {*range(len(words))}


def test_real_queries_and_their_parses(data, parser):
    folder = data / "charades_sta"
    files = {"test": folder / "Charades_sta_test.txt"}
    captions = read_charades_sta(files, durations=folder / "Charades_duration.json").captions
    texts = sorted({caption.text for caption in captions})[::20]
    texts += ["a person can't find their t-shirt.", 'they say "hello"... then wanna sit.']
    captions = [Caption(id=str(number), text=text) for number, text in enumerate(texts)]
    rows = caption_rows(captions, parser=parser, graph="dependencies")
    for row in rows:
        graph = query_dependencies(query_words(row.text), row.parse.words, row.dependencies)
        assert len(graph.source) >= len(graph.kind) - 2, row.text  # a tree, nearly always
    edges = edges_of(rows[-2], query_words(texts[-2]))
    assert ("find", "n't") in edges
    assert ("find", "t-shirt") in edges


def edges_of(row, words):
    graph = query_dependencies(words, row.parse.words, row.dependencies)
    return {(words[a], words[b]) for a, b in zip(graph.source, graph.target, strict=True)}


def test_queries_of_a_data_set_with_their_parses(tmp_path, parser):
    columns = {
        "feature": np.zeros((4, 2), np.float32),
        "time": np.array([[k, k + 1.0] for k in range(4)]),
        "duration": np.array(4.0),
    }
    with FeatureWriter(tmp_path / "clips", kind="clips", job={}) as writer:
        writer.add(FeatureRecord(id="kitchen", columns=columns))
    texts = {"1": "person opens the door.", "2": "person sits.", "3": "person laughs."}
    queries = [
        Caption(id=key, owner="kitchen", text=text, moment=(1.0, 2.0))
        for key, text in texts.items()
    ]
    data = DataSet(
        name="tiny",
        visuals=(Visual(id="kitchen", kind="video", duration=4.0),),
        captions=(*queries, Caption(id="4", owner="kitchen", text="the door", moment=(0.0, 1.0))),
    )
    parsed = [Caption(id="9", text="no query"), queries[0], Caption(id="2", text="person stands.")]
    parsed += [Caption(id="3", text="")]
    parse_captions(parsed, tmp_path / "graphs", parser=parser, graph="dependencies")
    vocabulary = query_vocabulary(texts.values())
    clips, graphs = FeatureStore(tmp_path / "clips"), GraphStore(tmp_path / "graphs")
    moments = MomentSet(data, clips, vocabulary, graphs=graphs)
    assert len(moments) == 4
    text = moments.text(0)
    assert vocabulary.decode(text.word) == ["person", "opens", "the", "door"]
    edges = {*zip(*text.edge_index.tolist(), text.relation.tolist(), strict=True)}
    found = {(head, word, RELATIONS[relation]) for head, word, relation in edges}
    assert found == {(1, 0, "nsubj"), (1, 3, "obj"), (3, 2, "det")}
    reasons = dict(moments.unparsed)
    assert reasons.keys() == {"2", "3", "4"}
    assert "the parse of this query, 'person sits'" in reasons["2"]
    assert "empty" in reasons["3"]
    assert reasons["4"] == "it is not among the parsed captions"
    batch = collate_queries([moments[number] for number in range(4)])
    assert batch.validate()
    assert batch.text.edge_index.shape == (2, 3)
    plain = MomentSet(data, clips, vocabulary)
    assert (plain.unparsed, plain.text(0).edge_index.numel()) == ([], 0)
    rows = [CaptionRow(id="1", text=texts["1"], error="no"), *graphs]
    assert dict(MomentSet(data, clips, vocabulary, graphs=rows).unparsed)["1"] == "no"
