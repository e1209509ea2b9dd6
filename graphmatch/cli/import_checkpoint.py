"""`graphmatch import-checkpoint`: a checkpoint of official code becomes one of this library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_MODELS = "scan|gsmn|imram|hgr|global-match|drn"


def import_checkpoint(
    model: Annotated[str, typer.Argument(help="Whose checkpoint it is.", metavar=_MODELS)],
    file: Annotated[Path, typer.Argument(help="The .pth, .pth.tar or .th file.")],
    vocab: Annotated[
        Path,
        typer.Option(
            help="The words that the model was trained with: *_vocab.json of SCAN, GSMN and IMRAM, "
            "word2int.json of HGR, Charades_word2id.json of DRN, or ours."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the checkpoint to make.")],
    config: Annotated[
        Path | None, typer.Option(help="hgr, global-match: model.json of the training.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="A field of the configuration that the file does not tell; repeatable.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace a checkpoint that is there.")] = False,
) -> None:
    """Convert a checkpoint of the official code of SCAN, GSMN, IMRAM, HGR or DRN.

    Nothing pickled in it is ever run. Every tensor must fit, and none may be left over.
    """
    from graphmatch.checkpoint import check_checkpoint_folder, save_checkpoint
    from graphmatch.config import parse_setting
    from graphmatch.models.table import find_model
    from graphmatch.official_checkpoint import import_official
    from graphmatch.official_hgr import read_model_json
    from graphmatch.query_vocabulary import read_query_vocabulary
    from graphmatch.vocab import Vocabulary

    kind = find_model(model).config_class()
    check_checkpoint_folder(out, force=force)
    vocabulary = read_query_vocabulary(vocab) if model == "drn" else Vocabulary.load(vocab)
    imported, report = import_official(
        model,
        file,
        vocabulary,
        settings=dict(parse_setting(kind, setting) for setting in settings or ()),
        options=None if config is None else read_model_json(config),
    )
    save_checkpoint(out, imported, vocabulary, force=force)
    typer.echo(report)
    typer.echo(f"{out}: {len(vocabulary):,} words")
