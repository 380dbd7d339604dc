"""Tools of the peers, fetched once into `.tools/`: whole, or not at all. Nothing of them enters the project's lock."""

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

TOOLS = Path(__file__).parents[2] / ".tools"
FETCH_SECONDS = 600.0


def fetched(name: str, made_of: Sequence[Path | str], make: Callable[[Path], None]) -> Path:
    """The folder `.tools/NAME-HASH`, made by `make` in a folder that is renamed when complete.

    `made_of` are the files and texts that decide what is in it: others make another. Several processes may ask at once.
    """
    text = "\n".join(part.read_text() if isinstance(part, Path) else part for part in made_of)
    folder = TOOLS / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=TOOLS, prefix="fetching-") as beside:
                make(Path(beside))
                shutil.copytree(beside, folder, symlinks=True)
    return folder


def run(*command: str | Path) -> None:
    """A command that must succeed."""
    arguments = [str(part) for part in command]
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {(done.stdout + done.stderr).strip()[-2000:]}")
