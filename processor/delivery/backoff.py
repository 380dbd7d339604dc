"""The wait before the next try: exponential backoff with full jitter (AWS Architecture Blog)."""

from dataclasses import dataclass
from typing import Final

from processor.foundation.clocks import Draw

_MOST_DOUBLINGS: Final = 32  # past any cap; keeps the power small


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits between 0 and `base_seconds`, doubled with every failure, up to `cap_seconds`."""

    base_seconds: float
    cap_seconds: float

    def seconds(self, failures: int, draw: Draw) -> float:
        """Draw the wait after so many failures in a row, at least 1."""
        ceiling: float = self.base_seconds * 2 ** min(failures - 1, _MOST_DOUBLINGS)
        return draw() * min(self.cap_seconds, ceiling)
