"""Universal Dependencies v1 labels (CoreNLP of 2018) to v2.

Source: universaldependencies.org/v2/summary.html.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence

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
_KEPT = frozenset(
    ("acl:relcl", "cc:preconj", "compound:prt", "det:predet", "nmod:poss", "nmod:npmod",
     "nmod:tmod", "nmod:agent")
)  # fmt: skip


def upgrade_labels(
    tags: Sequence[str], heads: Sequence[int], deprels: Sequence[str]
) -> tuple[list[int], list[str]]:
    """Heads and labels of a UD v1 tree as a UD v2 tree; a v2 tree comes back unchanged.

    Noun phrases under a verb, adjective or clause become `obl`; a conjunction moves to the
    conjunct that follows it; lexical suffixes (`nmod:in`) are cut.

    Args:
        tags: T Penn tags.
        heads: T positions of the heads, -1 for a root.
        deprels: T labels.

    Returns:
        T heads and T labels.

    Example:
        >>> upgrade_labels(["VB", "IN", "NN"], [-1, 2, 0], ["root", "case", "nmod:on"])
        ([-1, 2, 0], ['root', 'case', 'obl'])
    """
    new_heads = list(heads)
    conjuncts: dict[int, list[int]] = {}
    clauses = set()
    for token, (head, deprel) in enumerate(zip(heads, deprels, strict=True)):
        base = deprel.partition(":")[0]
        if base == "conj":
            conjuncts.setdefault(head, []).append(token)
        if base in ("nsubj", "nsubjpass", "csubj", "csubjpass", "cop"):
            clauses.add(head)
    labels = []
    for token, (head, deprel) in enumerate(zip(heads, deprels, strict=True)):
        if deprel == "cc":
            following = conjuncts.get(head, [])
            place = bisect(following, token)
            if place < len(following):
                new_heads[token] = following[place]
        label = _RENAMED.get(deprel, deprel)
        if label.startswith(("nmod:", "acl:", "advcl:", "conj:")) and label not in _KEPT:
            label = label.partition(":")[0]
        if label in _OBLIQUE and (head in clauses or _is_predicate(tags, head)):
            label = _OBLIQUE[label]
        labels.append(label)
    return new_heads, labels


def _is_predicate(tags: Sequence[str], token: int) -> bool:
    return token >= 0 and tags[token][:2] in ("VB", "JJ", "RB", "MD")
