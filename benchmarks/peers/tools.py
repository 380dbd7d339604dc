"""Commands that fetch or build the peers' tools; nothing of them enters the project's lock."""

import subprocess
from pathlib import Path

FETCH_SECONDS = 600.0


def run(*command: str | Path) -> None:
    """A command that must succeed."""
    arguments = [str(part) for part in command]
    done = subprocess.run(
        arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {(done.stdout + done.stderr).strip()[-2000:]}")
