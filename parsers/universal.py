"""ClearNLP trees (spaCy's English pipelines) to Universal Dependencies v2.

spaCy makes prepositions and forms of *be* heads; UD makes content words heads. The conversion
reattaches conjunctions, turns preposition phrases round from the deepest upwards, then copulas,
and renames. Source: Universal Dependencies v2 guidelines, English; ClearNLP guidelines.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence

from graphmatch.parsers.srl import lexicon

_RENAMED = {
    "ROOT": "root",
    "acomp": "xcomp",
    "agent": "obl:agent",
    "attr": "xcomp",
    "auxpass": "aux:pass",
    "complm": "mark",
    "csubjpass": "csubj:pass",
    "dative": "iobj",
    "dobj": "obj",
    "intj": "discourse",
    "meta": "dep",
    "neg": "advmod",
    "npadvmod": "obl:npmod",
    "nsubjpass": "nsubj:pass",
    "oprd": "xcomp",
    "pcomp": "advcl",
    "pobj": "obl",
    "poss": "nmod:poss",
    "preconj": "cc:preconj",
    "predet": "det:predet",
    "prt": "compound:prt",
    "quantmod": "advmod",
    "relcl": "acl:relcl",
    "subtok": "dep",
    "": "dep",
}
_PREPOSITIONS = frozenset(("prep", "agent", "dative"))
_SUBJECTS = frozenset(("nsubj", "nsubjpass", "csubj", "csubjpass", "expl"))
_FUNCTION = frozenset(("aux", "auxpass"))
_INVERTED = "obl?"  # an object that has taken its preposition's place, not yet obl or nmod


def to_universal(
    words: Sequence[str], tags: Sequence[str], heads: Sequence[int], *, deps: Sequence[str]
) -> tuple[list[int], list[str]]:
    """Heads and labels of a ClearNLP tree as a Universal Dependencies v2 tree.

    Punctuation keeps its head. No token is added or lost, and a tree stays a tree.

    Args:
        words: T word forms, any case.
        tags: T Penn tags.
        heads: T positions of the heads, -1 for a root.
        deps: T ClearNLP labels as spaCy writes them.

    Returns:
        T heads and T labels.

    Example:
        >>> to_universal(["cat", "on", "mat"], ["NN", "IN", "NN"], [-1, 0, 1],
        ...              deps=["ROOT", "prep", "pobj"])
        ([-1, 2, 0], ['root', 'case', 'nmod'])
    """
    tree = _Tree(words, tags, heads, deps)
    tree.reattach_coordination()
    tree.release_auxiliaries()
    order = tree.deepest_first()
    for token in order:
        nested = tree.deps[token] in ("conj", "pcomp", "mark") and tags[token] in ("IN", "TO")
        if tree.deps[token] in _PREPOSITIONS or (nested and tree.object_of(token) >= 0):
            tree.invert_preposition(token)
    for token in order:
        if tree.words[token] in _BE and tree.deps[token] not in _FUNCTION:
            tree.invert_copula(token)
    tree.rename()
    return tree.heads, tree.deps


_BE = frozenset(("be", "is", "are", "was", "were", "been", "being", "am", "'s", "'re", "'m", "’s"))


class _Tree:
    """Mutable heads, labels and child lists of one caption."""

    def __init__(
        self, words: Sequence[str], tags: Sequence[str], heads: Sequence[int], deps: Sequence[str]
    ) -> None:
        self.words = [word.lower() for word in words]
        self.tags = tags
        self.heads = list(heads)
        self.deps = list(deps)
        self.children: list[list[int]] = [[] for _ in heads]
        for token, head in enumerate(heads):
            if head >= 0:
                self.children[head].append(token)

    def move(self, token: int, head: int) -> None:
        if self.heads[token] >= 0:
            self.children[self.heads[token]].remove(token)
        self.heads[token] = head
        if head >= 0:
            self.children[head].append(token)
            self.children[head].sort()

    def replace(self, old: int, new: int) -> None:
        """`new`, a child of `old`, takes its place; every other child of `old` follows."""
        self.move(new, self.heads[old])
        for child in list(self.children[old]):
            self.move(child, new)
        self.move(old, new)

    def deepest_first(self) -> list[int]:
        order = [token for token, head in enumerate(self.heads) if head < 0]
        for token in order:  # breadth first: the list grows while it is walked
            order.extend(self.children[token])
        return order[::-1]

    def reattach_coordination(self) -> None:
        """Every conjunct under the first one, every conjunction under the conjunct it precedes."""
        first = list(range(len(self.heads)))
        for token in reversed(self.deepest_first()):
            if self.deps[token] == "conj" and self.heads[token] >= 0:
                first[token] = first[self.heads[token]]
        groups: dict[int, list[int]] = {}
        for token, dep in enumerate(self.deps):
            if dep == "conj" and self.heads[token] >= 0:
                groups.setdefault(first[token], []).append(token)
        for token, dep in enumerate(self.deps):
            if dep == "cc" and self.heads[token] >= 0:
                conjuncts = groups.get(first[self.heads[token]], [])
                following = bisect(conjuncts, token)
                if following < len(conjuncts):
                    self.move(token, conjuncts[following])
        for head, conjuncts in groups.items():
            for token in conjuncts:
                self.move(token, head)

    def release_auxiliaries(self) -> None:
        """Dependents of an auxiliary belong to its verb."""
        verb = list(range(len(self.heads)))  # of an auxiliary, through other auxiliaries
        for token in reversed(self.deepest_first()):
            if self.deps[token] in _FUNCTION and self.heads[token] >= 0:
                verb[token] = verb[self.heads[token]]
        for token, head in enumerate(self.heads):
            if head >= 0 and verb[head] != head:
                if self.deps[token] in ("attr", "acomp"):
                    siblings = self.children[verb[head]]
                    taken = any(self.deps[child] == "dobj" for child in siblings)
                    self.deps[token] = "dep" if taken else "dobj"
                self.move(token, verb[head])

    def object_of(self, token: int) -> int:
        """The object of a preposition: its noun or clause, or that of a preposition below it."""
        for wanted in ("pobj", "pcomp", _INVERTED):
            for child in self.children[token]:
                if self.deps[child] == wanted and (wanted != "pcomp" or self.tags[token] != "TO"):
                    return child
        return -1

    def invert_preposition(self, token: int) -> None:
        noun = self.object_of(token)
        if noun < 0:
            if self.deps[token] == "prep":
                self.deps[token] = "advmod" if self.tags[token][:2] in ("RB", "RP") else "obl"
            return
        outer = self.deps[token]
        clause = self.deps[noun] == "pcomp" and (
            self.tags[noun].startswith("VB")
            or any(self.deps[child] in _SUBJECTS for child in self.children[noun])
        )
        self.replace(token, noun)
        self.deps[token] = "mark" if clause else "case"
        head = self.heads[noun]
        if head >= 0 and self._is_next_to(token, head):
            self.replace(head, noun)
            self.deps[head] = "case"
        if outer == "conj" and self._shares_object(head, noun):
            outer = self.deps[head]
            self.replace(head, noun)
            self.deps[head] = "case"
        if outer == "conj":
            self.deps[noun] = "conj"
        elif clause:
            self.deps[noun] = "advcl" if self._is_verbal(self.heads[noun]) else "acl"
        elif outer == "agent":
            self.deps[noun] = "obl:agent"
        else:
            self.deps[noun] = _INVERTED if outer != "ROOT" else "ROOT"

    def _is_next_to(self, token: int, head: int) -> bool:
        return (
            self.words[head] == "next"
            and self.words[token] == "to"
            and head == token - 1
            and self.deps[head] in ("advmod", "amod", "prep")
        )

    def _shares_object(self, head: int, noun: int) -> bool:
        """Whether a preposition waits for the object of its conjunct: "under and around a tree"."""
        return head >= 0 and self.deps[head] in _PREPOSITIONS and self.object_of(head) in (-1, noun)

    def _is_verbal(self, token: int) -> bool:
        return token >= 0 and (
            self.tags[token][:2] in ("VB", "JJ", "RB", "MD")
            or any(self.deps[child] in _SUBJECTS for child in self.children[token])
        )

    def invert_copula(self, token: int) -> None:
        children = self.children[token]
        labels = [self.deps[child] for child in children]
        if "expl" in labels:
            for child in children:
                if self.deps[child] == "attr":
                    self.deps[child] = "nsubj"
            return
        complement = next((c for c in children if self.deps[c] == "attr"), -1)
        if complement < 0:
            complement = next((c for c in children if self.deps[c] == "acomp"), -1)
        if complement < 0 and not _SUBJECTS.isdisjoint(labels):
            places = (_INVERTED, "advmod", "prt")
            for child in children:
                if child > token and self.deps[child] in places and self._is_place(child):
                    complement = child
                    break
        if complement < 0:
            return
        outer = self.deps[token]
        self.replace(token, complement)
        self.deps[complement], self.deps[token] = outer, "cop"

    def _is_place(self, token: int) -> bool:
        return self.deps[token] == _INVERTED or self.words[token] in lexicon.STATIVE_ADVERBS

    def rename(self) -> None:
        for token, dep in enumerate(self.deps):
            if dep == _INVERTED:
                head = self.heads[token]
                new = "obl" if self._is_verbal(head) else "nmod"
            elif dep == "aux" and self.tags[token] == "TO":
                new = "mark"
            elif dep == "npadvmod" and self.words[token] in lexicon.TIME_NOUNS:
                new = "obl:tmod"
            else:
                new = _RENAMED.get(dep, dep)
            self.deps[token] = new
