"""Checkpoints in the form of official code, from golden tensors."""

from __future__ import annotations

import argparse
import collections
import io
import json
import pickle
import struct
import types
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from graphmatch.official_checkpoint import import_official
from tests.tiny_models import tiny_vocabulary

GOLDEN = Path(__file__).parent / "golden"


def model_json(folder, config):
    """HGR's `model.json` of a golden configuration; its path."""
    parts = ("video_encoder", "text_encoder")
    content = {name: value for name, value in config.items() if name not in parts}
    content |= {"trn_batch_size": 64, "base_lr": 1e-4, "subcfgs": {p: config[p] for p in parts}}
    path = folder / "model.json"
    path.write_text(json.dumps(content))
    return path


def golden(system, name):
    """(configuration, tensors) of a golden case."""
    path = GOLDEN / system / f"{name}.json"
    return json.loads(path.read_text())["config"], load_file(path.with_suffix(".safetensors"))


def state_dict(tensors, prefix):
    """An ordered dict with a note of torch, as modules make it."""
    found = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    state = collections.OrderedDict(found)
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    return state


def options(config, **more):
    """The namespace of a training script: what the model knows, and what it does not."""
    known = {k: v for k, v in config.items() if k not in ("n_image", "n_caption", "n_region")}
    training = {"batch_size": 128, "learning_rate": 2e-4, "data_name": "f30k_precomp"}
    return argparse.Namespace(**known, max_violation=True, **training, **more)


def joint(config, model, **more):
    """What SCAN, GSMN and IMRAM save."""
    return {
        "epoch": 17,
        "model": model,
        "best_rsum": np.float64(446.25),
        "opt": options(config, **more),
        "Eiters": 19244,
    }


def scan_content(config, tensors):
    return joint(config, [state_dict(tensors, f"param.{part}.") for part in ("img_enc", "txt_enc")])


def gsmn_content(config, tensors):
    parts = ("img_enc", "txt_enc", "i2t_match_G", "t2i_match_G")
    return joint(config, [state_dict(tensors, f"param.{part}.") for part in parts])


def imram_content(config, tensors):
    return joint(config, state_dict(tensors, "param."))


def hgr_content(tensors):
    parts = ("video_encoder", "text_encoder")
    return {part: state_dict(tensors, f"param.{part}.") for part in parts}


def saved(content, *, zipped=True):
    """Bytes of `torch.save`."""
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def saved_by_python2(content):
    """Bytes as torch 0.3 under Python 2 wrote them: strings of bytes, old names of modules."""
    stream = io.BytesIO()
    module = types.SimpleNamespace(__name__="python2", Pickler=_Python2, dump=_dump)
    torch.save(content, stream, pickle_module=module, _use_new_zipfile_serialization=False)
    return (
        stream.getvalue()
        .replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
        .replace(b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._utils\n_rebuild_tensor\n")
    )


class _Python2(pickle._Pickler):
    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012

    def _save_string(self, value):
        data = value if isinstance(value, bytes) else value.encode("latin-1")
        short = len(data) < 256
        head = b"U" + bytes([len(data)]) if short else b"T" + struct.pack("<i", len(data))
        self.write(head + data)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = _save_string

    def reducer_override(self, value):
        if isinstance(value, torch.Tensor):  # no gradient wanted, no hooks
            function, arguments, *_ = value.__reduce_ex__(2)
            return function, arguments[:4]
        if type(value) is collections.OrderedDict:
            pairs = [[key, item] for key, item in value.items()]
            return collections.OrderedDict, (pairs,), vars(value) or None
        return NotImplemented


def _dump(value, stream, protocol):
    _Python2(stream, protocol).dump(value)


FORMS = {
    "zip": saved,
    "sequence": lambda content: saved(content, zipped=False),
    "python2": saved_by_python2,
}
"""How files are written, by name."""


def write(folder, content, form="zip"):
    """A file with some content; its path."""
    path = folder / "model_best.pth.tar"
    path.write_bytes(FORMS[form](content))
    return path


def import_scan(folder, change=dict.copy, words=40, form="zip", **settings):
    """What comes of a golden SCAN checkpoint, changed before it is written."""
    content = scan_content(*golden("scan", "scan_t2i_lse"))
    change(content)
    path = write(folder, content, form)
    return import_official("scan", path, tiny_vocabulary(words), settings=settings)
