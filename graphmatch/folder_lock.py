"""`FolderLock`: one run at a time writes to a folder."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

from graphmatch.errors import ConfigError


class FolderLock:
    """A folder that no other run can lock until this lock is released or its process ends.

    Nothing is written for it. Systems and file systems without such locks are not guarded.

    Args:
        folder: the folder, which must be there.

    Raises:
        ConfigError: another run holds it.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> lock = FolderLock(folder)
        >>> FolderLock(folder)
        Traceback (most recent call last):
        graphmatch.errors.ConfigError: ...: another run is writing to this folder; ...
        >>> lock.release()
        >>> FolderLock(folder).release()
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            import fcntl
        except ImportError:  # not on Windows
            return
        descriptor = os.open(folder, os.O_RDONLY)
        self._close = weakref.finalize(self, os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.release()
            raise ConfigError(
                f"{folder}: another run is writing to this folder; wait for its end, or choose "
                "another folder"
            ) from error
        except OSError:  # some network file systems have no locks
            self.release()

    def release(self) -> None:
        """Let others lock the folder."""
        if hasattr(self, "_close"):
            self._close()
