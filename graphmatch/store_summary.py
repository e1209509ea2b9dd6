"""`summarise_store`: counts and histograms of a graph store."""

from __future__ import annotations

from collections import Counter
from typing import Any

from graphmatch.store import GraphStore


def summarise_store(store: GraphStore) -> dict[str, Any]:
    """Counts of what a store holds, read in one pass.

    Args:
        store: the store.

    Returns:
        `captions`, `failed`, `words`, `sentences`, `owners` (different ones); `roles` with
        `graphs`, `actions`, `entities`, `edges`, `event_only`; `dependencies` with `graphs`,
        `nodes`, `edges`; the histograms `entity_roles` (entities by role), `relations`
        (dependency edges by label) and `failure_reasons`, most frequent first.

    Raises:
        FormatError: damage anywhere in the store.

    Example:
        >>> import tempfile
        >>> from graphmatch.datasets.captions import Caption
        >>> from graphmatch.parse_job import parse_captions
        >>> from graphmatch.parsers import load_parser
        >>> folder = tempfile.mkdtemp()
        >>> captions = [Caption(id="1", text="A dog chases a cat.")]
        >>> report = parse_captions(captions, folder, parser=load_parser("spacy"))
        >>> summarise_store(GraphStore(folder))["entity_roles"]
        {'ARG0': 1, 'ARG1': 1}
    """
    totals: Counter[str] = Counter(captions=0, failed=0, words=0, sentences=0)
    roles: Counter[str] = Counter(graphs=0, actions=0, entities=0, edges=0, event_only=0)
    dependencies: Counter[str] = Counter(graphs=0, nodes=0, edges=0)
    entity_roles: Counter[str] = Counter()
    relations: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    owners = set()
    for row in store:
        totals["captions"] += 1
        if row.owner is not None:
            owners.add(row.owner)
        if row.error is not None:
            totals["failed"] += 1
            reasons[row.error.partition(":")[0].partition(" '")[0]] += 1
        if row.parse is not None:
            totals["words"] += len(row.parse)
            totals["sentences"] += len(set(row.parse.sentences))
        if row.roles is not None:
            entities = [
                role for kind, role in zip(row.roles.kind, row.roles.role, strict=True)
                if kind == "entity"
            ]  # fmt: skip
            roles["graphs"] += 1
            roles["actions"] += len(row.roles) - 1 - len(entities)
            roles["entities"] += len(entities)
            roles["edges"] += len(row.roles.source)
            roles["event_only"] += len(row.roles) == 1
            entity_roles.update(entities)
        if row.dependencies is not None:
            dependencies["graphs"] += 1
            dependencies["nodes"] += len(row.dependencies)
            dependencies["edges"] += len(row.dependencies.source)
            relations.update(row.dependencies.relation)
    return {
        **totals,
        "owners": len(owners),
        "roles": dict(roles),
        "dependencies": dict(dependencies),
        "entity_roles": dict(entity_roles.most_common()),
        "relations": dict(relations.most_common()),
        "failure_reasons": dict(reasons.most_common()),
    }
