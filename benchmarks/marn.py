"""Samples a second of MARN with and without distinct items, and what its recurrent part costs.

python benchmarks/marn.py [--data FOLDER] [--batch 512] [--history 50] [--rounds 3]

Published sizes: 256 numbers, four modalities (ids, images of 4,096 numbers, ten words, statistics),
behaviours with type and time. `--data` is the folder of MovieLens `ml-latest-small`, whose ratings,
titles and statistics are used as they are; without, films are drawn by Zipf's law. Images are
random. Everything is read from a store, as in training. Measured in turn is the processor's time of
one thread, which other programs lengthen little; the best of all rounds counts, for each batch:

* training: reading, forward, backward, Adam;
* serving: reading and forward; with the catalogue's vectors, which are made once; `ranking` has
  100 candidates a history;
* the recurrent part alone, forward (serving) and with its gradients (training): its time over the
  time that its products W x, P p and U h would take at the rate of a float32 matrix product
  512 x 2,048 x 1,024 of the same run.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from machine import processor
from marn_floor import item_operations, recurrent_operations
from torch import Tensor

from graphmatch.click_batch import ClickBatch, Items
from graphmatch.click_features import Feature
from graphmatch.click_job import encode_clicks
from graphmatch.click_loader import ClickLoader
from graphmatch.click_log import ClickLog, table_log
from graphmatch.click_schema import ClickSchema
from graphmatch.click_store import ClickStore
from graphmatch.datasets.movielens import movielens_schema, read_movielens
from graphmatch.models.marn import MARN, MARNConfig, Modality, Table

LIMIT, DISTINCT_LIMIT = 2.0, 2.0
PRODUCT = 512, 2048, 1024  # rows, inner, columns of the bare product: about 25 ms
BATCHES, CANDIDATES = 2, 100


def main() -> None:
    """Print Markdown tables."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--data", type=Path, help="folder of ml-latest-small; else Zipf's law")
    options.add_argument("--batch", type=int, default=512)
    options.add_argument("--history", type=int, default=50)
    options.add_argument("--image", type=int, default=4096, help="numbers of an image")
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    print(f"{processor()}, torch {torch.__version__}, one thread\n")
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder), chosen.data, chosen.image)
        for line in measure(store, chosen.batch, chosen.history, chosen.rounds):
            print(line, flush=True)


def make_store(folder: Path, data: Path | None, image: int) -> ClickStore:
    """MovieLens, or films drawn by Zipf's law, with random images of float16."""
    schema = with_images(movielens_schema())
    log = made_up_log(schema) if data is None else read_movielens(data, schema=schema)
    path = folder / "images.npy"
    shape = (len(log.items), image)
    images = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
    random = np.random.default_rng(0)
    for start in range(0, len(images), 1024):
        part = images[start : start + 1024]
        part[:] = random.standard_normal(part.shape, np.float32).clip(min=0)  # as after ReLU
    images.flush()
    encode_clicks(log, folder / "store", vectors={"image": path}, dtype="float16")
    return ClickStore(folder / "store")


def with_images(schema: ClickSchema) -> ClickSchema:
    """The schema with images in the place of genres."""
    items = [feature for feature in schema.items if feature.name != "genres"]
    image = Feature(name="image", kind="vector", column=schema.item)  # a file has the vectors
    return replace(schema, items=(*items, image))


def made_up_log(
    schema: ClickSchema, *, events: int = 60_000, users: int = 400, films: int = 10_000
) -> ClickLog:
    """Ratings of films whose frequency falls as 1 / rank."""
    random = np.random.default_rng(0)
    share = 1 / np.arange(1, films + 1)
    rated = random.choice(films, events, p=share / share.sum())
    table = {
        "userId": random.integers(users, size=events),
        "movieId": rated,
        "rating": random.integers(1, 6, events),
        "timestamp": np.sort(random.integers(10**8, size=events)),
    }
    words = random.zipf(1.3, (films, 4)) % 8000
    items = {
        "movieId": np.arange(films),
        "title": [" ".join(f"w{word}" for word in row) for row in words.tolist()],
        "year": random.integers(1930, 2019, films),
        "tags": random.poisson(0.5, films),
    }
    return table_log(schema, pa.table(table), items=pa.table(items))


def published_config(store: ClickStore) -> MARNConfig:
    """The published sizes for the tables of a store."""
    sizes = {record["name"]: record["sizes"] for record in store.modalities}
    loader = ClickLoader(store, "train", batch_size=1)
    return MARNConfig(
        modalities=(
            Modality(name="ids", kind="ids", sizes=tuple(sizes["ids"]), widths=(32, 16)),
            Modality(name="image", kind="vector", sizes=tuple(sizes["image"])),
            Modality(name="stat", kind="buckets", sizes=tuple(sizes["stat"]), widths=(8, 8)),
            Modality(name="title", kind="words", widths=(64,)),
        ),
        vocabulary=sizes["title"][0],
        properties=tuple(Table(name=n, size=s) for n, s in loader.property_sizes.items()),
    )


class Stopwatch:
    """The least time of the processor for each piece of work, by name, of all rounds."""

    def __init__(self) -> None:
        self.best: dict[tuple[Any, ...], float] = {}

    def run(self, key: tuple[Any, ...], work: Callable[..., Any], *inputs: Any) -> Any:
        """Do something and return what it returns."""
        started = time.process_time()
        found = work(*inputs)
        seconds = time.process_time() - started
        self.best[key] = min(self.best.get(key, math.inf), seconds)
        return found

    def total(self, *key: Any) -> float:
        """Seconds of all batches."""
        return sum(value for name, value in self.best.items() if name[: len(key)] == key)


def measure(store: ClickStore, batch: int, history: int, rounds: int) -> list[str]:
    """Lines of the tables."""
    torch.manual_seed(0)
    model = MARN(published_config(store))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)
    readers = {
        distinct: ClickLoader(store, "train", batch_size=batch, history=history, distinct=distinct)
        for distinct in (True, False)
    }
    reader, watch = readers[True], Stopwatch()
    catalogue = whole_catalogue(store)
    vectors = watch.run(("catalogue",), model.catalogue, catalogue)
    one, other = torch.randn(PRODUCT[:2]), torch.randn(PRODUCT[1:])
    numbers = range(max(1, min(BATCHES, len(reader) - 1)))  # the last one may be smaller
    for _ in range(rounds):
        for number in numbers:
            for distinct in readers:
                some = watch.run(("read", distinct, number), readers[distinct].__getitem__,
                                 (0, number))  # fmt: skip
                watch.run(("train", distinct, number), train, model, optimiser, some)
                watch.run(("serve", distinct, number), serve, model, some)
                watch.run(("sgemm",), torch.mm, one, other)
            some, places = reader[0, number], in_catalogue(reader, number)
            watch.run(("score", number), score, model, vectors, some, *places)
            watch.run(("rank", number), rank, model, vectors, some, places[0])
            for gradients in (False, True):
                inputs = recurrent_inputs(model, some, vectors, gradients=gradients)
                watch.run(("recurrent", gradients, number), recurrent, model, *inputs)
    batches = [reader[0, number] for number in numbers]
    return tables(watch, model.config, batches, rate=len(catalogue) / watch.best["catalogue",])


def train(model: MARN, optimiser: torch.optim.Optimizer, batch: ClickBatch) -> None:
    """A step of training."""
    model.train()
    optimiser.zero_grad()
    model.outcome(batch).losses["total"].backward()
    optimiser.step()


@torch.inference_mode()
def serve(model: MARN, batch: ClickBatch) -> Tensor:
    """Logits of a batch, its items encoded."""
    return model.eval()(batch)  # type: ignore[no-any-return]


@torch.inference_mode()
def score(
    model: MARN, vectors: Tensor, batch: ClickBatch, history: Tensor, candidate: Tensor
) -> Tensor:
    """Logits of a batch from the vectors of the catalogue."""
    return model.eval().score(vectors, history, candidate, properties=batch.properties)


def rank(model: MARN, vectors: Tensor, batch: ClickBatch, history: Tensor) -> Tensor:
    """Logits of some candidates, the same for all users, for a quarter of the histories."""
    quarter = max(1, len(batch) // 4)
    candidates = torch.arange(CANDIDATES).remainder(len(vectors)).expand(quarter, -1)
    properties = {name: value[:quarter] for name, value in batch.properties.items()}
    quarter_batch = replace(batch, properties=properties)
    return score(model, vectors, quarter_batch, history[:quarter], candidates)


def recurrent_inputs(
    model: MARN, batch: ClickBatch, vectors: Tensor, *, gradients: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Vectors of the batch's items, places, embedded properties and attention."""
    rep = vectors[: len(batch.items)].clone().requires_grad_(gradients)
    properties = model.user.embed(batch.properties)
    assert properties is not None
    attention = torch.rand(batch.history.shape).masked_fill(~batch.mask, 0)
    properties = properties.detach().requires_grad_(gradients)
    place = batch.history.clamp(min=0)
    return rep, place, properties, attention.requires_grad_(gradients)


def recurrent(
    model: MARN, rep: Tensor, place: Tensor, properties: Tensor, attention: Tensor
) -> None:
    """The recurrent part: products, gates, states; and the way back if the vectors want it."""
    user = model.user
    assert user.network is not None
    if rep.requires_grad:
        gates = user.behaviours(rep, place, properties)[1]
        user.network(gates, attention)[1].sum().backward()
        return
    with torch.inference_mode():
        user.network.last(user.network.items(rep), place, attention, properties)


def whole_catalogue(store: ClickStore) -> Items:
    """All items of a store."""
    modality = {
        record["name"]: torch.from_numpy(np.array(store.item(record["name"])))
        for record in store.modalities
    }
    whole = {name: value if value.is_floating_point() else value.long()
             for name, value in modality.items()}  # fmt: skip
    return Items(modality=whole, present=torch.from_numpy(np.array(store.item("present"))))


def in_catalogue(reader: ClickLoader, number: int) -> tuple[Tensor, Tensor]:
    """History [B, T] and candidate [B] of a batch as places in the catalogue."""
    store, samples = reader.store, reader.positions(0, number)
    stop = store.sample("first")[samples] + store.sample("length")[samples]
    length = np.minimum(store.sample("length")[samples], reader.history)
    width = np.arange(int(length.max()))
    steps = np.where(width < length[:, None], (stop - length)[:, None] + width, 0)
    history = np.where(width < length[:, None], store.behaviour("item")[steps], -1)
    candidate = torch.from_numpy(store.sample("item")[samples].astype(np.int64))
    return torch.from_numpy(history.astype(np.int64)), candidate


def tables(
    watch: Stopwatch, config: MARNConfig, batches: Sequence[ClickBatch], *, rate: float
) -> list[str]:
    """Rates, and the recurrent part beside its floor."""
    samples = sum(len(batch) for batch in batches)
    items = sum(len(batch.items) for batch in batches)
    behaviours = sum(int(batch.mask.sum()) for batch in batches)
    words = batches[0].items.modality["title"].size(1)
    sgemm = 2 * math.prod(PRODUCT) / watch.best["sgemm",]  # operations a second
    one_item, recurring = item_operations(config, words), recurrent_operations(
        config, items=items, behaviours=behaviours
    )  # fmt: skip
    lines = [
        f"batch {len(batches[0])}, history {batches[0].history.size(1)}, "
        f"{samples + behaviours:,} occurrences of {items:,} distinct items "
        f"({(samples + behaviours) / items:.2f} each) in {len(batches)} batches; "
        f"sgemm {sgemm / 1e9:.0f} GFLOP/s; {one_item / 1e6:.2f} MFLOP an item",
        "",
        "| samples/s | distinct items | every occurrence | times |",
        "|---|--:|--:|--:|",
    ]
    for name, parts in (("training", ("read", "train")), ("serving", ("read", "serve"))):
        few, many = (
            sum(watch.total(part, distinct) for part in parts) for distinct in (True, False)
        )
        lines.append(
            f"| {name} | {samples / few:,.0f} | {samples / many:,.0f} | {many / few:.2f} |"
        )
    few, many = (watch.total("read", distinct) for distinct in (True, False))
    ranked = max(1, len(batches[0]) // 4) * CANDIDATES * len(batches)
    lines += [
        f"| of it reading | {samples / few:,.0f} | {samples / many:,.0f} | {many / few:.2f} |",
        f"| serving from the catalogue's vectors | {samples / watch.total('score'):,.0f} | | |",
        f"| ranking {CANDIDATES}, candidates/s | {ranked / watch.total('rank'):,.0f} | | |",
        f"| the catalogue, items/s | {rate:,.0f} | | |",
        "",
        "| recurrent part | ms a batch | floor, ms | times |",
        "|---|--:|--:|--:|",
    ]
    for name, gradients, times in (("forward", False, 1), ("with gradients", True, 3)):
        took = 1e3 * watch.total("recurrent", gradients) / len(batches)
        floor = 1e3 * times * recurring / sgemm / len(batches)
        lines.append(f"| {name} | {took:.1f} | {floor:.1f} | {took / floor:.2f} |")
    return [*lines, "", f"limits: distinct items {DISTINCT_LIMIT} x, of the floor {LIMIT}"]


if __name__ == "__main__":
    main()
