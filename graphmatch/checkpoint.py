"""Checkpoints: folders of `config.json`, `model.safetensors` and what encodes the model's data.

That is `vocab.json`, or `encoder.json` of a model of clicks.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from graphmatch.config import config_from_values, config_values
from graphmatch.errors import CheckpointError, ConfigError, FormatError
from graphmatch.models.table import Task, check_task, find_model, model_name
from graphmatch.vocab import Vocabulary

if TYPE_CHECKING:
    from torch import nn

    from graphmatch.click_encoder import ClickEncoder

CONFIG, WEIGHTS, VOCABULARY, ENCODER = (
    "config.json",
    "model.safetensors",
    "vocab.json",
    "encoder.json",
)
"""The files of a checkpoint, which has a vocabulary or an encoder of clicks."""
BEST = "best"
"""The best checkpoint in the folder of a training run."""
LAST = "last"
"""That of the last epoch."""
_FORMAT = "graphmatch-checkpoint"
_VERSION = 1


def save_checkpoint(
    folder: str | Path,
    model: nn.Module,
    vocabulary: Vocabulary | ClickEncoder,
    *,
    force: bool = False,
) -> None:
    """Write a model, its configuration and its vocabulary; all of it appears, or nothing.

    Args:
        folder: the folder to make.
        model: a model of `graphmatch.models.table`.
        vocabulary: the words of its captions, or what encodes its clicks.
        force: replace a checkpoint that is there. Nothing else is ever replaced.

    Raises:
        ConfigError: a folder with something else in it, or a checkpoint without `force`; a model
            that is not in the table; a configuration that is no JSON.
        CheckpointError: a vocabulary of another length than the model's, an encoder of other
            modalities, one in place of the other, or numbers that are infinite or NaN.
        OSError: the disk is full or the folder cannot be written; nothing is left behind.

    Example:
        >>> from graphmatch.models.scan import SCAN, SCANConfig
        >>> model = SCAN(SCANConfig(vocabulary=2, feature_size=4, word_size=3, embed_size=2))
        >>> folder = Path(tempfile.mkdtemp()) / "scan"
        >>> save_checkpoint(folder, model, Vocabulary(("<unk>", "dog"), "<unk>"))
        >>> sorted(path.name for path in folder.iterdir())
        ['config.json', 'model.safetensors', 'vocab.json']
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    from graphmatch.weights import check_finite

    folder = Path(folder)
    config: Any = model.config
    name = model_name(model)
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "model": name,
        "config": config_values(config),
    }
    tensors = {key: value.detach().cpu() for key, value in model.state_dict().items()}
    words = VOCABULARY if isinstance(vocabulary, Vocabulary) else ENCODER
    if (words == ENCODER) != (find_model(name).task == "click"):
        got = type(vocabulary).__name__
        raise CheckpointError(
            "expected a vocabulary, or of a model of clicks the encoder of its data "
            f"(got {name} with a {got})"
        )
    check_words(config, vocabulary)
    check_finite(tensors)
    check_checkpoint_folder(folder, force=force)
    folder = folder.resolve()  # a link keeps its place
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f"{folder.name}.{os.getpid()}.", suffix=".tmp", dir=folder.parent
    ) as temporary:
        new, old = Path(temporary) / "new", Path(temporary) / "old"
        new.mkdir()
        text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        (new / CONFIG).write_text(text, encoding="utf-8")
        # copies: safetensors writes no views, and no two names for the same numbers
        copies = {key: value.clone().contiguous() for key, value in tensors.items()}
        try:
            save_file(copies, new / WEIGHTS, metadata={"format": "pt"})
        except SafetensorError as error:  # of a full disk, too
            raise OSError(f"{folder}: the weights could not be written ({error})") from error
        vocabulary.save(new / words)
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except BaseException:
            if old.exists():
                old.rename(folder)
            raise


@overload
def load_checkpoint(
    folder: str | Path, *, task: Literal["click"]
) -> tuple[Any, ClickEncoder]: ...  # pragma: no cover
@overload
def load_checkpoint(
    folder: str | Path, *, task: Literal["match", "ground"] | None = None
) -> tuple[Any, Vocabulary]: ...  # pragma: no cover
def load_checkpoint(folder: str | Path, *, task: Task | None = None) -> tuple[Any, Any]:
    """Read a checkpoint that `save_checkpoint` wrote.

    Args:
        folder: the checkpoint, or the folder of a training run, which means its best one.
        task: what its model must do; anything if None.

    Returns:
        The model, on the CPU and in evaluation mode, and its vocabulary, or its encoder if it is
        a model of clicks. The state of torch's random numbers is not touched.

    Raises:
        CheckpointError: no checkpoint, a damaged one, one of a newer version; a tensor that is
            missing, unexpected, misshaped, of another type, or not finite.
        ConfigError: a model of another task.

    Example:
        >>> from graphmatch.models.scan import SCAN, SCANConfig
        >>> config = SCANConfig(vocabulary=2, feature_size=4, word_size=3, embed_size=2)
        >>> folder = Path(tempfile.mkdtemp()) / "scan"
        >>> save_checkpoint(folder, SCAN(config), Vocabulary(("<unk>", "dog"), "<unk>"))
        >>> model, vocabulary = load_checkpoint(folder)
        >>> model.config == config, vocabulary.words
        (True, ('<unk>', 'dog'))
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from graphmatch.weights import new_model

    folder = find_checkpoint(folder)
    try:
        name, config = _read_config(folder / CONFIG)
        vocabulary = _read_words(folder, find_model(name).task)
        check_words(config, vocabulary)
        model = new_model(name, config, load_file(folder / WEIGHTS))
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    except (ConfigError, FormatError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: the checkpoint is damaged: {error}") from error
    if task is not None:
        check_task(name, task, where=f"{folder}: ")
    return model, vocabulary


def find_checkpoint(folder: str | Path) -> Path:
    """The folder of a checkpoint.

    Args:
        folder: the checkpoint, or the folder of a training run.

    Returns:
        The checkpoint, or the run's best one.

    Raises:
        CheckpointError: files are missing; says which.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file() and (folder / BEST / CONFIG).is_file():
        folder = folder / BEST
    names = (CONFIG, WEIGHTS, _words_file(folder).name)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing and (folder / LAST / CONFIG).is_file():
        raise CheckpointError(
            f"{folder}: expected the best checkpoint of the run (got none yet); "
            f"{folder / LAST} is that of its last epoch"
        )
    if missing:
        raise CheckpointError(f"{folder}: expected a checkpoint (no {', '.join(missing)})")
    return folder


def checkpoint_digest(folder: str | Path) -> str:
    """SHA-256 of a checkpoint's three files: what was computed with it belongs to this digest.

    Args:
        folder: the checkpoint, or the folder of a training run.

    Returns:
        64 hexadecimal digits.

    Raises:
        CheckpointError: no checkpoint.
    """
    folder = find_checkpoint(folder)
    digest = hashlib.sha256()
    for path in (folder / CONFIG, folder / WEIGHTS, _words_file(folder)):
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def check_words(config: Any, vocabulary: Vocabulary | ClickEncoder) -> None:
    """Raise `CheckpointError` if a model has another number of words than a vocabulary.

    Args:
        config: the model's configuration.
        vocabulary: the words; of clicks the encoder, which must have the model's modalities.

    Raises:
        CheckpointError: they differ.
    """
    if not isinstance(vocabulary, Vocabulary):
        schema = vocabulary.schema
        there = {one.group for one in schema.items} | {one.modality for one in schema.statistics}
        if unknown := sorted({*config.names} - there):
            raise CheckpointError(
                f"expected an encoder with the modalities {unknown}, which the model reads (got "
                f"{sorted(there)})"
            )
        return
    if config.vocabulary != len(vocabulary):
        raise CheckpointError(
            f"expected a vocabulary of {config.vocabulary} words, as many as the model embeds (got "
            f"{len(vocabulary)})"
        )


def check_checkpoint_folder(folder: str | Path, *, force: bool) -> None:
    """Raise `ConfigError` if a checkpoint must not be written to a folder.

    Args:
        folder: the folder.
        force: whether a checkpoint that is there may be replaced.

    Raises:
        ConfigError: a file, a folder with something else in it, or a checkpoint without `force`.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: expected a folder for the checkpoint (got a file)")
    present = sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []
    foreign = [name for name in present if name not in (CONFIG, WEIGHTS, VOCABULARY, ENCODER)]
    if foreign:
        raise ConfigError(
            f"{folder}: expected a new or empty folder, or a checkpoint (got {foreign[:3]})"
        )
    if present and not force:
        raise ConfigError(f"{folder}: the checkpoint exists; --force to replace it")


def _words_file(folder: Path) -> Path:
    encoder = folder / ENCODER
    return encoder if encoder.is_file() else folder / VOCABULARY


def _read_words(folder: Path, task: Task) -> Any:
    if task != "click":
        return Vocabulary.load(folder / VOCABULARY)
    from graphmatch.click_encoder import ClickEncoder

    return ClickEncoder.load(folder / ENCODER)


def _read_config(path: Path) -> tuple[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kind, version = content["format"], content["version"]
        if kind != _FORMAT or not isinstance(version, int) or version < 1:
            raise FormatError(f"expected format {_FORMAT} (got {kind!r}, version {version!r})")
        if version > _VERSION:
            raise CheckpointError(
                f"expected checkpoint version {_VERSION} or older (got {version}); it was written "
                "by a newer graphmatch: upgrade"
            )
        name, values = content["model"], content["config"]
        if not isinstance(name, str) or not isinstance(values, dict):
            raise TypeError("model or config")
    except (CheckpointError, FormatError):
        raise
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"{CONFIG}: {error}") from error
    return name, config_from_values(find_model(name).config_class(), values)
