"""Hand-made Universal Dependencies trees, and the frames of the rules."""

from __future__ import annotations

from graphmatch.parse import Parse
from graphmatch.parsers.penn import universal_pos
from graphmatch.parsers.srl.rules import rule_frames


def tree(lines):
    """A parse of lines `word/tag head label [lemma]`."""
    rows = [line.split() for line in lines]
    words, tags = zip(*(row[0].rsplit("/", 1) for row in rows), strict=True)
    deprels = [row[2] for row in rows]
    return Parse.from_tree(
        words,
        heads=[int(row[1]) for row in rows],
        deprels=deprels,
        tags=tags,
        pos=[universal_pos(tag, label) for tag, label in zip(tags, deprels, strict=True)],
        lemmas=[row[3] if len(row) > 3 else row[0].rsplit("/", 1)[0].lower() for row in rows],
    )


def frames(lines):
    """{predicate: [(role, phrase), ...]} of the rules."""
    parse = tree(lines)

    def text(positions):
        return " ".join(parse.words[position] for position in positions)

    return {
        text(frame.verb): [(argument.role, text(argument.words)) for argument in frame.arguments]
        for frame in rule_frames(parse)
    }
