"""The data directory of a worker: one worker each, and a name that outlives restarts.

data/worker-name                         <hostname>-<8 hex digits>, made once
data/lock                                held while a worker runs
data/profiles/<partition>/               RocksDB, and what `state.damage` leaves beside it
"""

import fcntl
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

_LOCK: Final = "lock"
_NAME: Final = "worker-name"


class DirectoryInUse(Exception):
    """Another process works in the folder."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"{path} is in use by process {holder or 'unknown'}: one data directory, one worker")
        self.path = path


class DirectoryUnusable(Exception):
    """The folder cannot be made or written."""


class StateDirectory:
    """The directory, locked until `close` or the end of the process."""

    def __init__(self, path: Path, lock: int, name: str) -> None:
        self.path = path
        self.name = name
        self._lock: int | None = lock

    @classmethod
    def lock(cls, path: Path, new_suffix: Callable[[], str]) -> Self:
        """Make the folder where it is missing, and lock it; raises DirectoryInUse, DirectoryUnusable.

        `new_suffix` makes a folder's name unique: 8 hex digits.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            handle = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise DirectoryUnusable(f"{path} cannot be used for state: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(handle, 32).decode(errors="replace").strip()
            os.close(handle)
            raise DirectoryInUse(path, holder) from None
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        return cls(path, handle, _named(path / _NAME, new_suffix))

    def partition(self, partition: int) -> Path:
        """Return the folder of a partition's rows."""
        return self.path / "profiles" / str(partition)

    def close(self) -> None:
        """Let the folder go; once or more."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _named(path: Path, new_suffix: Callable[[], str]) -> str:
    if path.exists() and (name := path.read_text().strip()):
        return name
    name = f"{socket.gethostname()}-{new_suffix()}"
    path.write_text(f"{name}\n")
    return name
