"""`check_device`: whether there is a device to compute on."""

from __future__ import annotations

import torch

from graphmatch.errors import ConfigError


def check_device(name: str) -> None:
    """Raise `ConfigError` for a device that is not there.

    Args:
        name: as torch calls it, such as `"cpu"`, `"cuda"` or `"cuda:1"`.

    Raises:
        ConfigError: no such kind of device, or none of it in this machine.

    Example:
        >>> check_device("gpu")
        Traceback (most recent call last):
        graphmatch.errors.ConfigError: unknown device 'gpu': expected cpu, cuda or cuda:NUMBER
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"unknown device {name!r}: expected cpu, cuda or cuda:NUMBER") from error
    if device.type != "cuda":
        return
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (device.index or 0) >= count:
        found = f"{count} of CUDA" if count else "no CUDA"
        raise ConfigError(f"expected a device that is there (got {name!r}, {found})")
