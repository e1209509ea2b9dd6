"""`ClauseTree`: a parse seen as clauses: predicates, their subjects, the borders of phrases."""

from __future__ import annotations

from collections.abc import Iterator

from graphmatch.parse import Parse
from graphmatch.parsers.srl import lexicon

SUBJECTS = ("nsubj", "nsubj:pass", "csubj", "csubj:pass")
"""Labels of subjects."""
# dependents of a predicate noun or adjective that belong to its clause
_CLAUSAL = frozenset(
    (*SUBJECTS, "expl", "cop", "aux", "aux:pass", "mark", "advcl", "parataxis", "discourse",
     "vocative", "punct", "cc", "dep")
)  # fmt: skip
# what a noun carries that is not part of the phrase it heads as a subject
_OUTSIDE = _CLAUSAL | {"case"}


class ClauseTree:
    """A parse with child lists and phrase borders; plain lists, no recursion over the tree.

    Args:
        parse: the parse; `heads`, `deprels`, `tags`, `pos` are its columns, `lower` and `lemmas`
            lower-cased words and lemmas, `children` the dependents of each word in order, `left`
            and `right` the first and last word of each word's subtree.
    """

    def __init__(self, parse: Parse) -> None:
        self.heads = parse.heads
        # a root is a root whatever a damaged analysis calls it: its label promises no head
        self.deprels = tuple(
            label if head >= 0 else "root"
            for head, label in zip(parse.heads, parse.deprels, strict=True)
        )
        self.tags = parse.tags
        self.pos = parse.pos
        self.lower = [word.lower() for word in parse.words]
        self.lemmas = [lemma.lower() for lemma in parse.lemmas]
        count = len(parse)
        self.children: list[list[int]] = [[] for _ in range(count)]
        for token, head in enumerate(self.heads):
            if head >= 0:
                self.children[head].append(token)
        self.left = list(range(count))
        self.right = list(range(count))
        order = [token for token, head in enumerate(self.heads) if head < 0]
        for token in order:  # breadth first: the list grows while it is walked
            order.extend(self.children[token])
        for token in reversed(order):
            head = self.heads[token]
            if head >= 0:
                self.left[head] = min(self.left[head], self.left[token])
                self.right[head] = max(self.right[head], self.right[token])

    # predicates

    def predicates(self) -> Iterator[int]:
        """Verbs that are no auxiliaries, particles or prepositions, in order."""
        for token, deprel in enumerate(self.deprels):
            if deprel.startswith("aux") or not self.is_verb(token):
                continue
            if deprel in ("compound:prt", "case", "mark", "cc", "fixed"):
                continue
            yield token

    def is_verb(self, token: int) -> bool:
        """Whether a word is a verb form: by its Penn tag, else by its universal tag."""
        tag = self.tags[token]
        return tag.startswith("VB") if tag else self.pos[token] in ("VERB", "AUX")

    def child(self, token: int, *labels: str) -> int:
        """The first dependent with one of the labels, -1 if there is none."""
        for child in self.children[token]:
            if self.deprels[child] in labels:
                return child
        return -1

    def clause(self, token: int) -> int:
        """The word that holds a predicate's dependents: for a copula its complement."""
        return self.heads[token] if self.deprels[token] == "cop" else token

    def is_clause(self, token: int) -> bool:
        """Whether a word heads a clause: a verb, or the complement of a copula."""
        return self.is_verb(token) or self.child(token, "cop") >= 0

    def is_passive(self, token: int) -> bool:
        """Whether a verb is passive, with or without an auxiliary."""
        if self.child(token, "nsubj:pass", "aux:pass", "csubj:pass") >= 0:
            return True
        if self.tags[token] != "VBN" or self.child(token, "aux") >= 0:
            return False
        if self.deprels[token] == "conj":
            head = self.heads[token]
            # one step is enough: conjuncts hang on the first one, which is no conjunct itself
            return (
                not self.is_verb(head)
                or self.child(head, "nsubj:pass", "aux:pass") >= 0
                or (self.tags[head] == "VBN" and self.child(head, "aux") < 0)
            )
        return self.deprels[token] in ("acl", "amod", "advcl", "root", "acl:relcl", "xcomp")

    # phrases

    def phrase(self, token: int) -> tuple[int, int]:
        """Borders [start, end) of a word's whole subtree."""
        return self.left[token], self.right[token] + 1

    def phrase_without(self, token: int, branch: int) -> tuple[int, int]:
        """Borders of a noun phrase without one branch, its preposition and what lies past it."""
        left, right = token, token
        for child in self.children[token]:
            if child != branch and self.deprels[child] not in _OUTSIDE:
                left = min(left, self.left[child])
                right = max(right, self.right[child])
        if branch > token:
            right = max(min(right, self.left[branch] - 1), token)
        else:
            left = min(max(left, self.right[branch] + 1), token)
        return left, right + 1

    def complement(self, token: int, copula: int) -> tuple[int, int]:
        """The phrase of a predicate noun or adjective without what belongs to its clause."""
        left, right = token, token
        adjective = self.pos[token] == "ADJ"
        for child in self.children[token]:
            deprel = self.deprels[child]
            if deprel in _CLAUSAL or (deprel == "conj" and self.is_clause(child)):
                continue
            if deprel.startswith("obl") and not (adjective and child > token):
                continue
            if deprel == "advmod" and not (
                copula < child < token and self.lower[child] in lexicon.DEGREE_ADVERBS
            ):
                continue
            left = min(left, self.left[child])
            right = max(right, self.right[child])
        if copula < token:
            left = max(left, copula + 1)
        return left, right + 1

    # subjects

    def subject(self, token: int, depth: int = 0) -> tuple[int, int, int] | None:
        """Head and borders of the phrase that is the subject of the clause headed by `token`."""
        own = self.child(token, *SUBJECTS)
        if own >= 0:
            return own, *self.phrase(own)
        head, deprel = self.heads[token], self.deprels[token]
        if head < 0 or depth == 5:
            return None
        base = deprel.partition(":")[0]
        if base == "conj":
            # a conjunct of a verb shares its subject; of a noun it is a clause of its own
            return self.subject(head, depth + 1) if self.is_clause(head) else None
        if base == "xcomp":
            controller = self.child(head, "obj", "iobj")
            if 0 <= controller < token and self.lemmas[head] != "promise":
                return controller, *self.phrase(controller)
            return self.subject(head, depth + 1)
        if base == "advcl":
            return self.subject(head, depth + 1)
        if base in ("acl", "amod") and self.pos[head] not in ("VERB", "AUX"):
            return head, *self.phrase_without(head, token)
        return None
