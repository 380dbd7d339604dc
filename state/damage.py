"""Faults of RocksDB told apart, and damaged copies put away: the changelog, which holds everything, makes new ones.

    fault while opening   of the files: wiped at once, and restored from the changelog
    fault while running   of the files: marked, the worker ends (DamagedState), and the next start wipes what is marked
    either                of the machine (permission, open files, read only, held by another process), or a full disk:
                          wiped never

    profiles/<partition>/            the copy
    profiles/damaged-<partition>     the mark; its text says why
    profiles/wiped-<partition>/      a copy on its way out: `wipe` renames first, so a kill leaves a whole copy or none

rocksdict raises bare Exception with the text of RocksDB's status: `Code: what: file: words of the operating system`,
and OSError with the text of Rust, `words (os error 13)`. Only the code and the end are read, since the rest may hold
any path. Held by `tests/state/test_damage.py` on real errors of both.
"""

import errno
import os
import re
import shutil
from enum import Enum
from pathlib import Path
from typing import Final

import structlog

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_OF_THE_MACHINE: Final = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
        *(errno.EAGAIN, errno.ENOLCK, errno.EBUSY),  # RocksDB's LOCK file is held, by another process or by this one
        *(errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ETIMEDOUT),  # the disk is away
        *(
            number for number, name in errno.errorcode.items() if name in ("ENOTCONN", "EREMOTEIO", "EHOSTDOWN")
        ),  # so is one behind FUSE
        *(
            errno.EINTR,
            errno.EFBIG,
        ),  # a call was interrupted; a file would pass what this process may write (ulimit -f)
    }
)
_NUMBERS: Final = {os.strerror(number): number for number in errno.errorcode}
_RUST: Final = re.compile(r"\(os error (\d+)\)$")
_log = structlog.get_logger(__name__)


class Fault(Enum):
    """The thing that an error of RocksDB is a fault of."""

    FILES = "files"
    FULL_DISK = "full disk"
    MACHINE = "machine"
    USE = "use"  # nothing of the above: a closed store, a broken invariant, options that do not fit


class NoSpace(Exception):
    """The disk is full."""

    def __init__(self, path: Path, error: Exception) -> None:
        super().__init__(
            f"{path}: no space left for the rows of this partition ({error})\n  nothing is lost: what was committed is"
            " restored from the changelog; make room, or name another data directory, and start again"
        )


class DamagedState(Exception):
    """The files of a copy are damaged. The copy is marked, and the next start wipes it."""

    def __init__(self, path: Path, error: Exception) -> None:
        super().__init__(
            f"{path}: the files of this partition are damaged ({error})\n  nothing is lost: start the worker again, it"
            " wipes this copy and restores it from the changelog; look at the disk if that comes again"
        )
        self.reason = str(error)


def find_fault(error: Exception) -> Fault:
    """Find the fault behind an error of rocksdict, by RocksDB's status code and the operating system's error number."""
    text = str(error)
    code = text.partition(": ")[0]
    if code == "Corruption":
        return Fault.FILES
    number = _error_number(text)
    if number in _FULL:
        return Fault.FULL_DISK
    if number in _OF_THE_MACHINE:
        return Fault.MACHINE
    return Fault.FILES if code == "IO error" or isinstance(error, OSError) else Fault.USE


def is_stall(error: Exception) -> bool:
    """Return whether a write was refused because RocksDB has to write its buffers to files first (`no_slowdown`)."""
    return str(error).startswith("Result incomplete: ")


def _error_number(text: str) -> int | None:
    """Find the operating system's error number that a text ends with; None where it ends with none."""
    if (of_rust := _RUST.search(text)) is not None:
        return int(of_rust[1])
    return _NUMBERS.get(text.rpartition(": ")[2])


def mark_damaged(path: Path, reason: str) -> None:
    """Have the copy in `path` wiped at the next start, whatever becomes of this process."""
    _log.error("local_state_damaged", path=str(path), reason=reason)
    try:
        _mark(path).write_text(reason)
    except OSError as error:  # the caller raises DamagedState: the worker ends, and finds the damage again
        _log.error("local_state_not_marked", path=str(path), reason=str(error))


def why_damaged(path: Path) -> str | None:
    """Read why the copy in `path` was marked as damaged; None where it was not."""
    mark = _mark(path)
    return mark.read_text(errors="replace") if mark.exists() else None


def wipe(path: Path) -> None:
    """Remove a local copy that is not open, and its mark, in an order in which a kill does no harm. Raises OSError."""
    remove_wiped(path)
    if path.exists():
        path.rename(_wiped(path))
    _mark(path).unlink(missing_ok=True)
    remove_wiped(path)


def remove_wiped(path: Path) -> None:
    """Remove what a `wipe` of `path` that was killed left. Raises OSError."""
    if _wiped(path).exists():
        shutil.rmtree(_wiped(path))


def _mark(path: Path) -> Path:
    return path.with_name(f"damaged-{path.name}")


def _wiped(path: Path) -> Path:
    return path.with_name(f"wiped-{path.name}")
