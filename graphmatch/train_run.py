"""`RunFolder`: the folder of a training, which belongs to one configuration and one set of data.

| file | content |
|---|---|
| `train.json` | model, its configuration, training options, digests of the data and first weights |
| `log.jsonl` | a line for every step and validation, see `graphmatch.train_log` |
| `best/`, `last/` | checkpoints |
| `stage-1/`, ... | best checkpoints of the stages, of a training in stages |
| `state/` | what resuming needs, see `graphmatch.train_state` |
| `tensorboard/` | files of TensorBoard, if wanted |
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from graphmatch.checkpoint import BEST, LAST
from graphmatch.errors import CheckpointError, ConfigError, FormatError
from graphmatch.folder_lock import FolderLock
from graphmatch.output import open_output
from graphmatch.pair_set import PairSet
from graphmatch.train_state import Progress, load_state, sync_folder

if TYPE_CHECKING:
    from graphmatch.moment_set import MomentSet

SETTINGS, LOG, STATE, BOARD = "train.json", "log.jsonl", "state", "tensorboard"
_FORMAT = "graphmatch-training"
_VERSION = 1
STAGE_FOLDERS = ("stage-1", "stage-2", "stage-3")
_CHECKPOINTS = (BEST, LAST, *STAGE_FOLDERS)
_OURS = {*_CHECKPOINTS, SETTINGS, LOG, STATE, BOARD}
_LEFTOVER = re.compile(  # of a killed run
    rf"(?:{'|'.join(map(re.escape, (*_CHECKPOINTS, SETTINGS)))})\.\d+\..*tmp"
)
_SAMPLE = 64  # items whose features are read to tell data apart


class RunFolder:
    """The folder of a training.

    Args:
        path: the folder; made when it is opened.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock: FolderLock | None = None

    def open(
        self, settings: Mapping[str, Any], *, force: bool = False
    ) -> tuple[Progress, dict[str, Tensor]]:
        """Make the folder ready, and lock it until `close`.

        Args:
            settings: what the training is, values of JSON.
            force: throw away what an earlier training left there. Nothing else is ever removed.

        Returns:
            How far the training is, and tensors of its state; none for a new training.

        Raises:
            ConfigError: a folder with something else in it, or a training with other settings;
                another run that is writing there.
            CheckpointError: a damaged state.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"{self.path}: expected a folder for the training (got a file)")
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(self.path)
        names = sorted(entry.name for entry in self.path.iterdir())
        present = [name for name in names if not _LEFTOVER.fullmatch(name)]
        foreign = [name for name in present if name not in _OURS]
        if foreign or (present and SETTINGS not in present):
            raise ConfigError(
                f"{self.path}: expected a new or empty folder, or that of a training "
                f"(got {(foreign or present)[:3]})"
            )
        if present and not force:
            self._check(settings)
        for name in names if force else [name for name in names if name not in present]:
            _remove(self.path / name)
        if present and not force:
            return load_state(self.path / STATE) or (Progress(), {})
        content = {"format": _FORMAT, "version": _VERSION, **settings}
        with open_output(self.path / SETTINGS) as stream:
            stream.write(json.dumps(content, ensure_ascii=False, indent=1) + "\n")
        sync_folder(self.path)
        return Progress(), {}

    def close(self) -> None:
        """Let others write to the folder."""
        if self._lock is not None:
            self._lock.release()

    def _check(self, settings: Mapping[str, Any]) -> None:
        stored = read_settings(self.path)
        old, new = _flat(stored), _flat(settings)
        different = [
            f"{name}: {old.get(name)!r} -> {new.get(name)!r}"
            for name in {**old, **new}
            if old.get(name) != new.get(name)
        ]
        if different:
            raise ConfigError(
                f"{self.path}: the folder has another training ({', '.join(different)}); choose "
                "another folder, or --force to throw it away"
            )


def read_settings(folder: str | Path) -> dict[str, Any]:
    """What the training of a folder is.

    Args:
        folder: of the training.

    Returns:
        Content of its `train.json` without format and version.

    Raises:
        FormatError: no such file, a damaged one, or one of a newer version.
    """
    path = Path(folder) / SETTINGS
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != _FORMAT:
            raise ValueError("another format")
        version = content.pop("version")
    except (OSError, KeyError, AttributeError, TypeError, ValueError, RecursionError) as error:
        raise FormatError(
            f"{path}: expected the settings of a training (got {error}); --force starts it anew"
        ) from error
    if not isinstance(version, int) or version > _VERSION:
        raise FormatError(
            f"{path}: expected version {_VERSION} or older (got {version!r}); it was written by a "
            "newer graphmatch: upgrade"
        )
    return dict(content)


def describe_pairs(pairs: PairSet) -> dict[str, Any]:
    """What tells a set of pairs from another.

    Args:
        pairs: captions with their images or videos.

    Returns:
        Counts, a digest of all captions, and that of `digest_items`.
    """
    return {
        "captions": len(pairs.captions),
        "pairs": len(pairs),
        "items": len(pairs.gallery),
        "left_out": len(pairs.skipped),
        "captions_digest": pairs.captions.digest(),
        "items_digest": digest_items(pairs),
    }


def digest_items(pairs: PairSet | MomentSet) -> str:
    """SHA-256 of a store's manifest, a gallery's ids and the features of 64 items.

    Args:
        pairs: captions or queries with their images or videos.

    Returns:
        64 hexadecimal digits.
    """
    visuals = pairs.visuals
    described = json.dumps([visuals.manifest, pairs.visual_ids], sort_keys=True)
    digest = hashlib.sha256(described.encode())
    for place in np.linspace(0, len(pairs.gallery) - 1, _SAMPLE).astype(int).tolist():
        digest.update(np.ascontiguousarray(visuals.rows("feature", pairs.gallery[place])).tobytes())
    return digest.hexdigest()


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of the weights of a model.

    Args:
        model: the model.

    Returns:
        64 hexadecimal digits.

    Raises:
        CheckpointError: weights that are not finite.
    """
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        if not bool(value.isfinite().all()):
            raise CheckpointError(f"expected finite weights to begin with (got others in {name})")
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
