"""Small MARN models, and random batches with missing modalities and empty histories."""

from __future__ import annotations

from dataclasses import replace

import torch

from graphmatch.click_batch import ClickBatch, Items
from graphmatch.models.marn import MARN, MARNConfig, Modality, Table

CONFIG = MARNConfig(
    modalities=(
        Modality(name="ids", kind="ids", sizes=(9, 4), widths=(3, 2)),
        Modality(name="image", kind="vector", sizes=(5,)),
        Modality(name="stat", kind="buckets", sizes=(5,), widths=(3,)),
        Modality(name="title", kind="words", widths=(3,), kernels=(1, 3), channels=2),
    ),
    vocabulary=8,
    properties=(Table(name="type", size=4, width=2), Table(name="time", size=5, width=3)),
    context=2,
    context_tables=(Table(name="gender", size=3, width=2),),
    dim=6,
    disc_hidden=5,
    hidden=6,
    units=(7, 4),
    embedding_std=1.0,
)


def build(config=CONFIG, seed=0, **options):
    """A model of which no bias is zero: there relu would have a kink."""
    torch.manual_seed(seed)
    model = MARN(replace(config, **options)).double()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def random_items(count, config=CONFIG, seed=0, missing=0.3):
    """Items of which some lack modalities; the first one has none."""
    g = torch.Generator().manual_seed(seed)
    modality = {}
    for part in config.modalities:
        if part.kind == "vector":
            value = torch.randn(count, part.sizes[0], generator=g, dtype=torch.float64)
        elif part.kind == "words":
            value = torch.randint(config.vocabulary, (count, 4), generator=g)
        else:
            columns = [torch.randint(size, (count,), generator=g) for size in part.sizes]
            value = torch.stack(columns, dim=1)
        modality[part.name] = value
    present = torch.rand(count, len(config.modalities), generator=g) >= missing
    if missing:
        present[0] = False
    return Items(modality=modality, present=present)


def random_batch(size=5, length=4, items=6, *, config=CONFIG, seed=0, missing=0.3):
    """Ragged histories, the second one empty; few items, so that they occur several times."""
    g = torch.Generator().manual_seed(seed)
    counts = torch.randint(length + 1, (size,), generator=g)
    counts[0], counts[1:2] = length, 0
    mask = torch.arange(length) < counts.unsqueeze(1)
    return ClickBatch(
        items=random_items(items, config, seed, missing),
        history=torch.randint(items, (size, length), generator=g).masked_fill(~mask, -1),
        candidate=torch.randint(items, (size,), generator=g),
        properties={
            table.name: torch.randint(1, table.size, (size, length), generator=g) * mask
            for table in config.properties
        },
        context=torch.randn(size, config.context, generator=g, dtype=torch.float64),
        context_ids=torch.stack(
            [torch.randint(t.size, (size,), generator=g) for t in config.context_tables], dim=1
        ),
        label=torch.randint(2, (size,), generator=g).double(),
    )


def rows(batch, places):
    """Some of a batch's rows, with the same items."""
    return replace(
        batch,
        history=batch.history[places],
        candidate=batch.candidate[places],
        properties={name: value[places] for name, value in batch.properties.items()},
        context=batch.context[places],
        context_ids=batch.context_ids[places],
        label=batch.label[places],
    )


def everything(model, batch, eta=None):
    """Logits, losses and gradients of the total, by name."""
    model.zero_grad()
    outcome = model.outcome(batch, eta=eta)
    outcome.losses["total"].backward()
    gradients = {f"grad {name}": p.grad for name, p in model.named_parameters()}
    return {"logits": outcome.logits, **outcome.losses, **gradients}


def assert_same(one, two, assert_close, skip=()):
    assert one.keys() == two.keys()
    for name, value in one.items():
        if name in skip:
            continue
        other = two[name]
        if value is None or other is None:
            nothing = value if other is None else other
            assert nothing is None or not nothing.any(), name
        else:
            assert_close(value, other, "float64")
