"""The folder `.tools/`: what is fetched or built once and kept.

Several processes may ask for it at the same time.
"""

import fcntl
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

TOOLS: Final = Path(__file__).parents[2] / ".tools"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the file's lock; the kernel lets go of it when the process ends, however it ends."""
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def kept_folder(name: str, made_of: Sequence[Path | str]) -> Path:
    """Return the place of `.tools/NAME-HASH`, whether it is there or not.

    `made_of` are the files and texts that decide what the folder holds: other ones make another folder.
    """
    digest = hashlib.sha256()
    for part in made_of:
        digest.update(part.read_bytes() if isinstance(part, Path) else part.encode())
        digest.update(b"\0")
    return TOOLS / f"{name}-{digest.hexdigest()[:8]}"


def made_once(name: str, made_of: Sequence[Path | str], make: Callable[[Path], None]) -> Path:
    """Return the folder `.tools/NAME-HASH`, which `make` fills once.

    It is filled beside its place, and renamed when it is complete.
    """
    folder = kept_folder(name, made_of)
    TOOLS.mkdir(exist_ok=True)
    with locked(TOOLS / f"{name}.lock"):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=TOOLS, prefix="making-") as beside:
                made = Path(beside) / "made"
                made.mkdir()
                make(made)
                made.rename(folder)
    return folder
