"""Wait for a condition, with a deadline: never a sleep for luck."""

import time
from collections.abc import Callable
from typing import Final

from processor.sandbox.errors import SandboxFailed

POLL_SECONDS: Final = 0.05


def wait_until(done: Callable[[], bool], what: str, seconds: float, poll_seconds: float = POLL_SECONDS) -> None:
    """Return once `done` holds; raise SandboxFailed naming `what` when it does not within `seconds`.

    Raises whatever `done` raises.
    """
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise SandboxFailed(f"after {seconds:.0f} s still waiting for {what}")
        time.sleep(poll_seconds)
