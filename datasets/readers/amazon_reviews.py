"""Amazon reviews (5-core): which product a user reviews next.

Source: the data of McAuley et al., SIGIR 2015; the protocol of Deep Interest Network (KDD 2018),
with negatives as in the code of DIEN (AAAI 2019).
"""

from __future__ import annotations

import ast
import json
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graphmatch.click_features import Feature, Splitting, Statistic
from graphmatch.click_log import ClickLog, Skipped, table_log
from graphmatch.click_schema import ClickSchema
from graphmatch.datasets.text_files import decode_lines, finite_number, open_source
from graphmatch.errors import FormatError

_FIELDS = "a JSON object with reviewerID, asin, overall and unixReviewTime"


def amazon_schema(*, metadata: bool) -> ClickSchema:
    """Reviews as clicks; the number of stars of earlier ones is the behaviour's type.

    Args:
        metadata: whether there is a table of products.

    Returns:
        The schema: `ids` are product, category and brand, `title` words, `stat` the number and mean
        of stars of earlier reviews, and the price.
    """
    described = (
        Feature(name="category", kind="ids", modality="ids"),
        Feature(name="brand", kind="ids", modality="ids"),
        Feature(name="title", kind="words", length=16),
        Feature(name="price", kind="buckets", modality="stat"),
    )
    return ClickSchema(
        user="reviewerID",
        item="asin",
        time="unixReviewTime",
        label="label",
        order="order",
        behaviours="clicked",
        splitting=Splitting(by="column", column="split"),
        items=(
            Feature(name="product", kind="ids", column="asin", modality="ids"),
            *(described if metadata else ()),
        ),
        properties=(Feature(name="type", kind="buckets", column="overall", edges=(2, 3, 4, 5)),),
        statistics=(
            Statistic(name="reviews", of="behaviours"),
            Statistic(name="stars", of="mean", column="overall"),
        ),
    )


def read_amazon_reviews(
    reviews: str | Path,
    *,
    metadata: str | Path | None = None,
    schema: ClickSchema | None = None,
    seed: int = 0,
) -> ClickLog:
    """Reviews and, for each, a product that the user did not review then.

    A user's reviews are sorted by time. Review j + 1 is a sample with label 1 whose history are the
    first j; beside it stands one with label 0, a product drawn from all reviews, so by popularity,
    that is another one. The first review of a user has no sample, the last one is for testing, all
    others for training.

    Args:
        reviews: JSON lines, perhaps gzipped.
        metadata: JSON lines of products, perhaps gzipped; also as Python literals, as the older
            files are.
        schema: what to make of the columns `reviewerID`, `asin`, `unixReviewTime`, `label`,
            `order`, `overall` and `split`, and of the products' `asin`, `category`, `brand`,
            `title` and `price`; without, that of `amazon_schema`.
        seed: of the products that were not reviewed.

    Returns:
        The log, in memory: about 60 bytes a review. Rows are numbered in the order of users and
        times; lines of the file that are no review are counted.

    Raises:
        FormatError: a file is missing or damaged, or has no review.
    """
    columns, users, items, skipped = _read_reviews(reviews)
    user, item, time, stars = columns
    order = np.lexsort((time, user))
    user, item, time, stars = user[order], item[order], time[order], stars[order]
    first = np.flatnonzero(np.append(True, user[1:] != user[:-1]))
    length = np.diff(np.append(first, len(user)))
    place = np.arange(len(user)) - np.repeat(first, length)
    last = place == np.repeat(length, length) - 1
    sampled = np.flatnonzero(place > 0)
    split = np.where(last & (place > 0), 2, 0)
    rows = np.concatenate([np.arange(len(user)), sampled])
    label = np.concatenate([np.where(place > 0, 1.0, np.nan), np.zeros(len(sampled))])
    offered = np.concatenate([item, _draw_others(item, sampled, np.random.default_rng(seed))])
    rating = np.concatenate([stars, np.full(len(sampled), np.nan)])
    table = pa.table(
        {
            "reviewerID": _named(users, user[rows]),
            "asin": _named(items, offered),
            "unixReviewTime": time[rows],
            "label": pa.array(label, from_pandas=True),
            "order": place[rows],
            "overall": pa.array(rating, from_pandas=True),
            "split": pa.array(split[rows].astype(np.int8)),
        }
    )
    products = None if metadata is None else read_products(metadata)
    return table_log(
        schema or amazon_schema(metadata=metadata is not None),
        table.take(np.lexsort((label == 0, rows))),
        items=products,
        sources=[reviews] if metadata is None else [reviews, metadata],
        skipped=skipped,
        options={"seed": seed},
    )


def read_products(metadata: str | Path) -> Any:
    """Products.

    Args:
        metadata: JSON lines or Python literals, perhaps gzipped; lines that are neither are left
            out.

    Returns:
        Arrow table of `asin`, `category` (the last one of the first list), `brand`, `title` and
        `price`, missing where a product has none.

    Raises:
        FormatError: no such file, or no product in it.
    """
    columns: dict[str, list[Any]] = {n: [] for n in ("asin", "category", "brand", "title", "price")}
    for _, record in _records(metadata):
        if record is None or not isinstance(record.get("asin"), str):
            continue
        categories = record.get("categories", record.get("category"))
        while isinstance(categories, list) and categories:
            categories = categories[0] if isinstance(categories[0], list) else categories[-1]
        price = record.get("price")
        columns["asin"].append(record["asin"])
        columns["category"].append(categories if isinstance(categories, str) else None)
        columns["price"].append(
            finite_number(price.lstrip("$") if isinstance(price, str) else price)
        )
        for name in ("brand", "title"):
            value = record.get(name)
            columns[name].append(value if isinstance(value, str) else None)
    if not columns["asin"]:
        raise FormatError(f"{metadata}: expected products with an asin (got none)")
    types = {name: pa.float64() if name == "price" else pa.string() for name in columns}
    return pa.table({name: pa.array(values, types[name]) for name, values in columns.items()})


def _read_reviews(
    path: str | Path,
) -> tuple[list[NDArray[Any]], dict[str, int], dict[str, int], Skipped]:
    users: dict[str, int] = {}
    items: dict[str, int] = {}
    columns = (array("q"), array("q"), array("d"), array("d"))
    bad = []
    for number, record in _records(path):
        if record is None:
            bad.append(number)
            continue
        user, item = record.get("reviewerID"), record.get("asin")
        time, stars = (finite_number(record.get(n)) for n in ("unixReviewTime", "overall"))
        if not isinstance(user, str) or not isinstance(item, str) or time is None or stars is None:
            bad.append(number)
            continue
        columns[0].append(users.setdefault(user, len(users)))
        columns[1].append(items.setdefault(item, len(items)))
        columns[2].append(time)
        columns[3].append(stars)
    if not users:
        raise FormatError(f"{path}: expected lines with {_FIELDS} (got none)")
    skipped = Skipped()
    skipped.add(f"expected {_FIELDS}", bad)
    return [np.array(column) for column in columns], users, items, skipped


def _records(path: str | Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Objects of a file, lazily, with the number of their line from 0; None for what is none."""
    with open_source(path, "of JSON lines") as stream:
        for number, line, error in decode_lines(stream, str(path)):
            if not line.strip():
                continue
            record = None
            if error is None:
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError):
                    try:
                        record = ast.literal_eval(line)
                    except (ValueError, SyntaxError, RecursionError, MemoryError):
                        record = None
            yield number - 1, record if isinstance(record, dict) else None


def _draw_others(
    item: NDArray[Any], sampled: NDArray[np.int64], numbers: np.random.Generator
) -> NDArray[Any]:
    """For each sample an item of any review, another one than its own."""
    if len(sampled) and (item == item[0]).all():
        raise FormatError("expected reviews of two products or more (got one)")
    drawn = np.full(len(sampled), -1, item.dtype)
    open_places = np.arange(len(sampled))
    while len(open_places):
        drawn[open_places] = item[numbers.integers(len(item), size=len(open_places))]
        open_places = open_places[drawn[open_places] == item[sampled[open_places]]]
    return drawn


def _named(names: dict[str, int], codes: NDArray[Any]) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(list(names)))
