"""Configurations from official checkpoints of HGR: the shapes of tensors, and `model.json`.

The checkpoint of HGR, and of its baseline, holds tensors only; the options are in a JSON file that
the training wrote.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from graphmatch.errors import CheckpointError


def read_model_json(path: str | Path) -> dict[str, Any]:
    """The options of an HGR training.

    Args:
        path: its `model.json`.

    Returns:
        Options by name; those of a part have its name before theirs, `text_encoder.num_words`.

    Raises:
        CheckpointError: no such file, no JSON, or no configuration of HGR.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        parts = content["subcfgs"]
        flat = {name: value for name, value in content.items() if name != "subcfgs"}
        for part in ("video_encoder", "text_encoder"):
            flat |= {f"{part}.{name}": value for name, value in parts[part].items()}
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: expected JSON (got {error})") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: expected HGR's model.json, with subcfgs of video_encoder and text_encoder"
        ) from error
    return flat
