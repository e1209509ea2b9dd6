"""Role graphs: the event, its actions and their entities, by the rules of HGR.

Source: HGR (CVPR 2020) section 3.1; official code, `miscs/parse_sent_to_role_graph.ipynb`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from graphmatch.columns import GraphColumns
from graphmatch.errors import ParseError, check_choice
from graphmatch.parse import Frame, Parse
from graphmatch.parsers.chunks import noun_chunks
from graphmatch.parsers.srl.bio import frame_from_tags

RoleMode = Literal["strict", "repaired", "augmented"]
"""What happens to damaged tags and to captions without a usable frame; see `role_graph`."""


def role_graph(
    parse: Parse,
    *,
    mode: RoleMode = "augmented",
    chunks: Sequence[tuple[int, int]] | None = None,
) -> GraphColumns:
    """The role graph of a parse by the official HGR rules.

    Node 0 is the event with every word. A frame is kept if it has arguments; its verb becomes an
    action, each argument an entity; entities with the same words and the same role are one node.
    A frame whose verb is an action already is skipped whole. Edges run from the event to every
    action and from an action to its entities.

    Args:
        parse: a parse with frames.
        mode: `"augmented"` (default) gives a caption without any action its noun phrases as
            entities of role NOUN (its nouns if it has no phrase) and its verbs as actions, without
            edges between them, as the official "augment" step does; `"repaired"` leaves such a
            graph with the event alone; `"strict"` does so too, and refuses damaged BIO tags
            where `role_graph_from_tags` reads them.
        chunks: spans [start, end) of the noun phrases for the augment step; `noun_chunks(parse)`
            by default.

    Returns:
        The graph; node order is the official file's order.

    Raises:
        ConfigError: an unknown mode.
        ParseError: a chunk outside the caption.

    Example:
        >>> from graphmatch.parse import Argument
        >>> parse = Parse.from_tree(["dogs", "run"], heads=[1, -1], deprels=["nsubj", "root"])
        >>> graph = role_graph(parse.with_frames([Frame((1,), (Argument("ARG0", (0,)),))]))
        >>> graph.kind, graph.relation
        (('event', 'action', 'entity'), ('V', 'ARG0'))
    """
    check_choice("role mode", mode, get_args(RoleMode))
    builder = _Builder(len(parse))
    builder.add_frames(parse.frames)
    if mode == "augmented" and builder.is_bare:
        builder.augment(parse, noun_chunks(parse) if chunks is None else chunks)
    return builder.columns()


def role_graph_from_tags(
    parse: Parse, tags: Iterable[Sequence[str]], *, mode: RoleMode = "augmented",
    chunks: Sequence[tuple[int, int]] | None = None,
) -> GraphColumns:  # fmt: skip
    """The role graph of a labeller's BIO tags, one sequence a predicate, by the official rules.

    Args:
        parse: the words; its tags and tree serve the augment step only.
        tags: for each predicate one tag a word (`O`, `B-ARG0`, `I-ARG0`, `B-V`, ...).
        mode: as `role_graph`; `"strict"` raises where the official code fails: an I- tag on the
            first word. The other modes read it as B-.
        chunks: as `role_graph`.

    Returns:
        The graph.

    Raises:
        ConfigError: an unknown mode.
        ParseError: a malformed tag, another number of tags than words, or (strict) an I- tag on
            the first word.

    Example:
        >>> parse = Parse.from_tree(["dogs", "run"], heads=[1, -1], deprels=["nsubj", "root"])
        >>> role_graph_from_tags(parse, [["I-ARG0", "B-V"]]).role
        ('', 'V', 'ARG0')
    """
    check_choice("role mode", mode, get_args(RoleMode))
    frames = []
    for sequence in tags:
        if len(sequence) != len(parse):
            raise ParseError(f"expected {len(parse)} tags, one a word (got {len(sequence)})")
        frame = frame_from_tags(sequence, strict=mode == "strict")
        if frame is not None:
            frames.append(frame)
    return role_graph(parse.with_frames(frames), mode=mode, chunks=chunks)


class _Builder:
    """Nodes by their words and role, so that equal ones are shared."""

    def __init__(self, count: int) -> None:
        self.spans: list[tuple[int, ...]] = [tuple(range(count))]
        self.roles = [""]
        self.links: list[tuple[int, int]] = []  # action -> entity
        self.known: dict[tuple[tuple[int, ...], str], int] = {}

    @property
    def is_bare(self) -> bool:
        return len(self.roles) == 1

    def add(self, words: tuple[int, ...], role: str) -> int:
        self.spans.append(words)
        self.roles.append(role)
        return len(self.roles) - 1

    def add_frames(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            key = (frame.verb, "V")
            if not frame.arguments or key in self.known:
                continue
            action = self.known[key] = self.add(*key)
            for argument in sorted(frame.arguments, key=lambda argument: argument.words[0]):
                key = (argument.words, argument.role)
                if key not in self.known:
                    self.known[key] = self.add(*key)
                self.links.append((action, self.known[key]))

    def augment(self, parse: Parse, chunks: Sequence[tuple[int, int]]) -> None:
        count = len(parse)
        for start, end in chunks:
            if not 0 <= start < end <= count:
                raise ParseError(f"expected chunks inside {count} words (got {(start, end)})")
            self.add(tuple(range(start, end)), "NOUN")
        if not chunks:
            for token in range(count):
                if is_tagged(parse, token, "NN", ("NOUN", "PROPN")):
                    self.add((token,), "NOUN")
        for token in range(count):
            if is_tagged(parse, token, "VB", ("VERB", "AUX")):
                self.add((token,), "V")

    def columns(self) -> GraphColumns:
        kinds = ["action" if role == "V" else "entity" for role in self.roles]
        edges = [(0, node) for node, role in enumerate(self.roles) if role == "V"] + self.links
        return GraphColumns(
            kind=("event", *kinds[1:]),
            role=tuple(self.roles),
            span_node=tuple(node for node, span in enumerate(self.spans) for _ in span),
            span_word=tuple(word for span in self.spans for word in span),
            source=tuple(source for source, _ in edges),
            target=tuple(target for _, target in edges),
            relation=tuple(self.roles[target] for _, target in edges),
        )


def is_tagged(parse: Parse, token: int, prefix: str, pos: tuple[str, ...]) -> bool:
    """Whether a word's Penn tag starts so; by its universal tag where there is no Penn tag.

    Args:
        parse: the parse.
        token: word position.
        prefix: start of the Penn tag, `"NN"`.
        pos: the universal tags that mean the same.

    Returns:
        Whether the word is one of those.
    """
    tag = parse.tags[token]
    return tag.startswith(prefix) if tag else parse.pos[token] in pos
