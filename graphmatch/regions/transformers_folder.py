"""`load_pretrained`: a model of `transformers` from a local folder, and nothing but that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graphmatch.datasets.text_files import read_json
from graphmatch.errors import CheckpointError, ConfigError, FormatError
from graphmatch.regions.base import fingerprint

_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_READ = (".json", ".safetensors", ".txt")  # suffixes of the files that change what a model does


def import_transformers() -> Any:
    """The library.

    Returns:
        The module.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise ConfigError(
            "models of transformers need it: pip install 'graphmatch[detect]'"
        ) from error
    return transformers


def read_config(folder: Path) -> dict[str, Any]:
    """Content of a model folder's `config.json`, if the folder is one that can be loaded as it is.

    Args:
        folder: the folder.

    Returns:
        The configuration.

    Raises:
        ConfigError: no such folder, or no `config.json` in it; weights are pickled only; the
            configuration names a backbone that would have to be downloaded.
        FormatError: `config.json` is damaged.
    """
    if not (folder / "config.json").is_file():
        raise ConfigError(f"{folder}: expected a folder with config.json and *.safetensors")
    if not any(folder.glob("*.safetensors")):
        pickled = [file.name for file in folder.iterdir() if file.suffix in _PICKLED]
        got = f"{', '.join(sorted(pickled))}, a pickle, which is never run" if pickled else "none"
        raise ConfigError(
            f"{folder}: expected weights as *.safetensors (got {got}); save them with "
            "save_pretrained"
        )
    config = read_json(folder / "config.json", "the configuration of a model")
    if isinstance(config.get("backbone"), str) and not config.get("backbone_config"):
        raise ConfigError(
            f"{folder}: expected config.json with a backbone_config (got the name of a backbone, "
            f"{config['backbone']!r:.80}, which would need timm or a download)"
        )
    return config


def load_pretrained(
    folder: Path, loader: Any, *, dtype: str = "float32", unused: Sequence[str] = ()
) -> Any:
    """A model for use without training; nothing is downloaded and no code run.

    Args:
        folder: a folder that `read_config` accepts.
        loader: class of `transformers` with `from_pretrained`.
        dtype: of the weights, as torch calls it; `auto` leaves them as they are.
        unused: parts of the names of weights that may be missing.

    Returns:
        The model, on the CPU.

    Raises:
        ConfigError: the model needs a library that is not installed.
        FormatError: a damaged file, or weights of other shapes.
        CheckpointError: weights are missing.
    """
    with _loading(folder, "the model"):
        model, report = loader.from_pretrained(
            str(folder),
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=dtype,
            output_loading_info=True,
        )
    missing = [key for key in report["missing_keys"] if not any(part in key for part in unused)]
    if missing:
        names = ", ".join(sorted(missing)[:5])
        raise CheckpointError(f"{folder}: expected the weights {names} (got none)")
    return model.eval().requires_grad_(False)


def load_image_processor(folder: Path) -> Any:
    """What prepares images for a model, on pillow and numpy.

    Args:
        folder: a folder with `preprocessor_config.json` or `processor_config.json`.

    Returns:
        The image processor.

    Raises:
        ConfigError: the folder has none, or one that needs a library that is not installed.
        FormatError: a damaged file.
    """
    names = ("preprocessor_config.json", "processor_config.json")
    if not any((folder / name).is_file() for name in names):
        raise ConfigError(f"{folder}: expected {' or '.join(names)} (got none)")
    loader = import_transformers().AutoImageProcessor
    with _loading(folder, "the image processor"):
        return loader.from_pretrained(
            str(folder), local_files_only=True, backend="pil", trust_remote_code=False
        )


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in a model's folder.

    Args:
        folder: the folder.

    Returns:
        The tokenizer.

    Raises:
        ConfigError: it needs a library that is not installed.
        FormatError: there is none, or a damaged one.
    """
    loader = import_transformers().AutoTokenizer
    with _loading(folder, "the tokenizer"):
        return loader.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)


@contextmanager
def _loading(folder: Path, what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a foreign loader fails in many types
        why = str(error).strip().partition("\n")[0] or type(error).__name__
        if isinstance(error, ImportError):
            raise ConfigError(f"{folder}: {why}") from error
        raise FormatError(f"{folder}: transformers cannot load {what} ({why})") from error


def folder_fingerprint(folder: Path) -> str:
    """A short digest of the configuration, weights and vocabulary in a folder.

    Args:
        folder: the folder.

    Returns:
        12 hexadecimal digits.
    """
    digests = []
    for file in sorted(folder.iterdir()):
        if file.suffix in _READ and file.is_file():
            with file.open("rb") as stream:
                digests.append((file.name, hashlib.file_digest(stream, "blake2b").digest()))
    return fingerprint(*digests)
