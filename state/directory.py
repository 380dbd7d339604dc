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
        self.holder = holder


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
        handle = lock_folder(path)
        return cls(path, handle, name_directory(path, lambda: name_on_host(new_suffix())))

    def partition(self, partition: int) -> Path:
        """Return the folder of a partition's rows."""
        return self.path / "profiles" / str(partition)

    def close(self) -> None:
        """Let the folder go; once or more."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def lock_folder(path: Path) -> int:
    """Make a folder where it is missing, and lock it for this process; return the handle, whose end is the lock's.

    Raises DirectoryInUse, DirectoryUnusable.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        handle = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise DirectoryUnusable(f"{path} cannot be used for state: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = _holder(handle)
        os.close(handle)
        raise DirectoryInUse(path, holder) from None
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    return handle


def find_holder(path: Path) -> str | None:
    """Return the id of the process that has a folder locked, "" where it is unknown; None where nobody has."""
    try:
        handle = os.open(path / _LOCK, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return _holder(handle)
    finally:
        os.close(handle)
    return None


def name_directory(path: Path, new_name: Callable[[], str]) -> str:
    """Return the name of a directory, which is made and named where it is not yet; raise DirectoryUnusable."""
    file = path / _NAME
    try:
        path.mkdir(parents=True, exist_ok=True)
        if file.exists() and (name := file.read_text().strip()):
            return name
        name = new_name()
        file.write_text(f"{name}\n")
    except OSError as error:
        raise DirectoryUnusable(f"{path} cannot be used for state: {error.strerror}") from None
    return name


def name_on_host(suffix: str) -> str:
    """Return the name of a directory of this host: `<hostname>-<suffix>`."""
    return f"{socket.gethostname()}-{suffix}"


def _holder(handle: int) -> str:
    return os.read(handle, 32).decode(errors="replace").strip()
