"""Universal Dependencies v1 labels (CoreNLP of 2018) to v2.

Source: universaldependencies.org/v2/summary.html.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence

from graphmatch.errors import ParseError

_RENAMED = {
    "ROOT": "root",
    "auxpass": "aux:pass",
    "csubjpass": "csubj:pass",
    "dobj": "obj",
    "foreign": "flat:foreign",
    "mwe": "fixed",
    "name": "flat",
    "neg": "advmod",
    "nsubjpass": "nsubj:pass",
    "remnant": "orphan",
}
_OBLIQUE = {"nmod": "obl", "nmod:agent": "obl:agent", "nmod:npmod": "obl:npmod",
            "nmod:tmod": "obl:tmod"}  # fmt: skip
_V2_ONLY = frozenset(
    ("obj", "obl", "nsubj:pass", "csubj:pass", "aux:pass", "fixed", "flat", "orphan", "clf",
     "advcl:relcl", "obl:agent", "obl:npmod", "obl:tmod", "obl:unmarked", "nmod:unmarked",
     "nmod:desc", "nsubj:outer")
)  # fmt: skip
# any other suffix is a preposition or a conjunction of an enhanced graph
_SUBTYPES = frozenset(
    ("agent", "desc", "foreign", "npmod", "outer", "pass", "poss", "preconj", "predet", "prt",
     "relcl", "tmod", "unmarked")
)  # fmt: skip


def upgrade_labels(
    tags: Sequence[str], heads: Sequence[int], deprels: Sequence[str]
) -> tuple[list[int], list[str]]:
    """Heads and labels of a UD v1 tree as a UD v2 tree.

    A v2 tree comes back unchanged, unless nothing in it tells the versions apart. Noun phrases
    under a verb, adjective or adverb become `obl`; a conjunction moves to the conjunct that
    follows it; lexical suffixes (`nmod:in`) are cut. Under a noun that is a
    predicate `nmod` stays: whether it belongs to the noun or to the clause is not in the tree.

    Args:
        tags: T Penn tags.
        heads: T positions of the heads, -1 for a root.
        deprels: T labels.

    Returns:
        T heads and T labels.

    Raises:
        ParseError: columns of different length.

    Example:
        >>> upgrade_labels(["VB", "IN", "NN"], [-1, 2, 0], ["root", "case", "nmod:on"])
        ([-1, 2, 0], ['root', 'case', 'obl'])
    """
    if not len(tags) == len(heads) == len(deprels):
        counts = f"{len(tags)}, {len(heads)} and {len(deprels)}"
        raise ParseError(f"expected as many tags, heads and labels as words (got {counts})")
    new_heads = list(heads)
    is_old = _V2_ONLY.isdisjoint(deprels)
    conjuncts: dict[int, list[int]] = {}
    for token, (head, deprel) in enumerate(zip(heads, deprels, strict=True)):
        if deprel.partition(":")[0] == "conj":
            conjuncts.setdefault(head, []).append(token)
    labels = []
    for token, (head, deprel) in enumerate(zip(heads, deprels, strict=True)):
        if deprel == "cc" and token > head:  # in v2 it stands before its head
            following = conjuncts.get(head, [])
            place = bisect(following, token)
            if place < len(following):
                new_heads[token] = following[place]
        base, _, suffix = deprel.partition(":")
        label = deprel if not suffix or suffix in _SUBTYPES else base
        label = _RENAMED.get(label, label)
        if deprel == "neg" and tags[token] == "DT":
            label = "det"
        if is_old and label in _OBLIQUE and _is_predicate(tags, head):
            label = _OBLIQUE[label]
        labels.append(label)
    return new_heads, labels


def _is_predicate(tags: Sequence[str], token: int) -> bool:
    return token >= 0 and tags[token][:2] in ("VB", "JJ", "RB", "MD")
