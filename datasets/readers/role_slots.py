"""HGR's fixed arrays of a role graph: 30 words, 4 action slots, 6 entity slots.

Source: HGR official code, `readers/rolegraphs.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphmatch.columns import GraphColumns
from graphmatch.datasets.role_limits import limit_roles
from graphmatch.errors import GraphError
from graphmatch.parse import role_id

_END = 1  # the official padding word is EOS


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSlots:
    """Arrays of one caption; W words, V action slots, E entity slots, N = 1 + V + E nodes.

    Args:
        word: int64 [W] word ids, padded with the id of EOS (1).
        length: number of words, at most W.
        action_words: bool [V, W] words of each action.
        entity_words: bool [E, W] words of each entity.
        role: int64 [V + E] role ids, 0 in unused slots.
        relation: float32 [N, N]; row = target, column = source; the event is node 0, entities
            start at 1 + V; every row that is not empty sums to 1.
    """

    word: np.ndarray[Any, np.dtype[np.int64]]
    length: int
    action_words: np.ndarray[Any, np.dtype[np.bool_]]
    entity_words: np.ndarray[Any, np.dtype[np.bool_]]
    role: np.ndarray[Any, np.dtype[np.int64]]
    relation: np.ndarray[Any, np.dtype[np.float32]]


def role_slots(
    graph: GraphColumns,
    word: Sequence[int],
    *,
    max_words: int = 30,
    actions: int = 4,
    entities: int = 6,
) -> RoleSlots:
    """A role graph in the official fixed arrays.

    They hold what `graphmatch.datasets.role_limits.limit_roles` keeps, in file order. The event
    sends to actions; actions and entities send to each other. Rows are divided by their sum.

    Args:
        graph: a role graph.
        word: T word ids of the caption.
        max_words: W, words kept.
        actions: V, action slots.
        entities: E, entity slots.

    Returns:
        The arrays.

    Raises:
        GraphError: a graph that is no role graph, or with other words than `word`.
        ConfigError: a size below 1.

    Example:
        >>> from graphmatch.parse import Argument, Frame, Parse
        >>> from graphmatch.parsers.roles import role_graph
        >>> parse = Parse.from_tree(["dogs", "run"], heads=[1, -1], deprels=["nsubj", "root"],
        ...                         frames=[Frame((1,), (Argument("ARG0", (0,)),))])
        >>> role_slots(role_graph(parse), [5, 9], max_words=3, actions=1, entities=1).relation
        array([[0. , 0. , 0. ],
               [0.5, 0. , 0.5],
               [0. , 1. , 0. ]], dtype=float32)
    """
    words = len(graph.words_of(0)) if graph.kind else 0
    graph = limit_roles(graph, max_words=max_words, actions=actions, entities=entities)
    if words != len(word):
        raise GraphError(f"expected {words} word ids, one a word (got {len(word)})")

    length = min(max_words, len(word))
    ids = np.full(max_words, _END, dtype=np.int64)  # [W]
    ids[:length] = word[:length]
    masks = {
        "action": np.zeros((actions, max_words), dtype=bool),  # [V, W]
        "entity": np.zeros((entities, max_words), dtype=bool),  # [E, W]
    }
    first = {"action": 0, "entity": actions}
    used = {"action": 0, "entity": 0}
    role = np.zeros(actions + entities, dtype=np.int64)  # [V + E]
    slot = [0]  # row of `relation` of each node
    for node in range(1, len(graph)):
        kind = graph.kind[node]
        masks[kind][used[kind], list(graph.words_of(node))] = True
        place = first[kind] + used[kind]
        role[place] = role_id(graph.role[node])
        slot.append(1 + place)
        used[kind] += 1

    relation = np.zeros((1 + actions + entities,) * 2, dtype=np.float32)  # [N, N]
    for source, target in zip(graph.source, graph.target, strict=True):
        relation[slot[target], slot[source]] = 1
        if source != 0:
            relation[slot[source], slot[target]] = 1
    total = relation.sum(axis=1, keepdims=True)
    relation /= np.where(total > 0, total, 1)
    return RoleSlots(
        word=ids, length=length, action_words=masks["action"], entity_words=masks["entity"],
        role=role, relation=relation,
    )  # fmt: skip
