"""Accuracy of parses and role graphs on hand-annotated captions, with every miss.

python benchmarks/caption_cases.py CASES.json [--parser spacy] [--model NAME]

A case has `tokens`, `ud` (heads from 0, labels, accepted alternatives, skipped words), `srl`
(predicates with arguments; some optional, some with other accepted roles) and `role_graph`.
Dependencies: without punctuation, labels cut at ":". Arguments: equal span, role or an accepted
one; optional ones count neither way. Role graphs: nodes without the event, as (role, span); edges
as (action, role, span), after accepted roles were renamed and optional parts taken out.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from graphmatch.parse import Argument, Frame, Parse
from graphmatch.parsers import load_parser
from graphmatch.parsers.roles import role_graph

Span = tuple[int, ...]


def main() -> None:
    """Print the figures and the misses as Markdown."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("cases", type=Path)
    options.add_argument("--parser", default="spacy")
    options.add_argument("--model")
    chosen = options.parse_args()
    parser: Any = load_parser(chosen.parser, chosen.model)
    cases = json.loads(chosen.cases.read_text(encoding="utf-8"))
    counts: Counter[str] = Counter()
    misses = []
    for case in cases:
        parse = parser.parse_words(case["tokens"])
        found = [*check_tree(parse, case, counts), *check_graph(parse, case, counts)]
        if found:
            misses.append(f"* {case['id']} `{case['text']}`: " + "; ".join(found))
    words = counts["words"]
    print(f"{len(cases)} captions, {parser.version}\n")
    print("| measure | value |\n|---|--:|")
    print(f"| dependencies, UAS | {100 * counts['head'] / words:.1f} |")
    print(f"| dependencies, LAS (base labels) | {100 * counts['label'] / words:.1f} |")
    for name in ("argument span", "node", "edge"):
        right, wrong, missed = (counts[f"{name} {kind}"] for kind in ("right", "wrong", "missed"))
        precision, recall = right / (right + wrong), right / (right + missed)
        f1 = 2 * right / (2 * right + wrong + missed)
        print(f"| {name} F1 (P, R) | {100 * f1:.1f} ({100 * precision:.1f}, {100 * recall:.1f}) |")
    print(f"| role graphs exactly right | {counts['graphs']} of {len(cases)} |")
    print("\nEvery miss (- gold only, + predicted only):\n")
    print("\n".join(misses))


def check_tree(parse: Parse, case: dict[str, Any], counts: Counter[str]) -> list[str]:
    """Count right heads and labels; return what is wrong."""
    gold, misses = case["ud"], []
    skipped = set(gold.get("skip", ()))
    for token, word in enumerate(case["tokens"]):
        if gold["deprel"][token] == "punct" or token in skipped:
            continue
        pairs = [(gold["head"][token], gold["deprel"][token])]
        pairs += [(head, label) for head, label in gold.get("accept", {}).get(str(token), ())]
        right = {(head, label.partition(":")[0]) for head, label in pairs}
        head, label = parse.heads[token], parse.deprels[token].partition(":")[0]
        counts["words"] += 1
        counts["head"] += head in {h for h, _ in right}
        counts["label"] += (head, label) in right
        if (head, label) not in right:
            of = [parse.words[h] if h >= 0 else "ROOT" for h in (pairs[0][0], head)]
            misses.append(f"{word}: -{pairs[0][1]} of {of[0]} +{parse.deprels[token]} of {of[1]}")
    return misses


def check_graph(parse: Parse, case: dict[str, Any], counts: Counter[str]) -> list[str]:
    """Count arguments, nodes and edges of the role graph; return what is wrong."""
    frames = settle(parse, case)
    gold = {
        (tuple(predicate["predicate"]), argument["role"], tuple(range(*argument["span"])))
        for predicate in case["srl"]
        for argument in predicate["args"]
        if not predicate.get("optional") and not argument.get("optional")
    }
    own = {(frame.verb, a.role, a.words) for frame in frames for a in frame.arguments}
    count(counts, "argument span", own, gold)
    graph = role_graph(parse.with_frames(frames))
    spans = [graph.words_of(node) for node in range(len(graph))]
    nodes = {(graph.role[node], spans[node]) for node in range(1, len(graph))}
    edges = {
        (spans[source], role, spans[target])
        for source, target, role in zip(graph.source, graph.target, graph.relation, strict=True)
        if source
    }
    stored = case["role_graph"]
    places = {node["id"]: tuple(range(*node["span"])) for node in stored["nodes"]}
    gold_nodes = {(n["role"], places[n["id"]]) for n in stored["nodes"] if n["role"] != "ROOT"}
    gold_edges = {(places[a], role, places[b]) for a, b, role in stored["edges"]}
    count(counts, "node", nodes, gold_nodes)
    count(counts, "edge", edges, gold_edges)
    counts["graphs"] += nodes == gold_nodes and edges == gold_edges
    text = [
        f"{sign}{role} [{' '.join(parse.words[word] for word in span)}]"
        for sign, some in (("-", gold_nodes - nodes), ("+", nodes - gold_nodes))
        for role, span in sorted(some, key=lambda node: node[1])
    ]
    if not text and edges != gold_edges:
        text = [f"edges: -{len(gold_edges - edges)} +{len(edges - gold_edges)}"]
    return text


def settle(parse: Parse, case: dict[str, Any]) -> list[Frame]:
    """The predicted frames with accepted roles renamed and optional parts taken out."""
    gold = {tuple(predicate["predicate"]): predicate for predicate in case["srl"]}
    frames = []
    for frame in parse.frames:
        known = next((verb for verb in gold if frame.verb[0] in verb), None)
        if known is None:
            frames.append(frame)
            continue
        if gold[known].get("optional"):
            continue
        arguments = []
        for argument in frame.arguments:
            if set(argument.words) <= set(known):  # the particle of a two-word predicate
                continue
            for wanted in gold[known]["args"]:
                if argument.words == tuple(range(*wanted["span"])) and argument.role in (
                    wanted["role"],
                    *wanted.get("accept", ()),
                ):
                    if not wanted.get("optional"):
                        arguments.append(Argument(wanted["role"], argument.words))
                    break
            else:
                arguments.append(argument)
        frames.append(Frame(known, tuple(arguments)))
    return frames


def count(counts: Counter[str], name: str, own: set[Any], gold: set[Any]) -> None:
    """Add what two sets share and what only one of them has."""
    counts[f"{name} right"] += len(own & gold)
    counts[f"{name} wrong"] += len(own - gold)
    counts[f"{name} missed"] += len(gold - own)


if __name__ == "__main__":
    main()
