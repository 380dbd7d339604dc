"""Hold back what other libraries say again and again: the first line is written, then one every ten seconds.

aiokafka repeats itself so while a broker is away.
"""

import logging
import time
from collections.abc import Callable, Collection
from typing import Final

EVERY_SECONDS: Final = 10.0
_MOST_REMEMBERED: Final = 1_000

_Text = tuple[str, int, str]
"""Logger, level, and the message before its arguments are put in; where a library puts them in itself, no two lines are
the same.
"""


class Repeats(logging.Filter):
    """A filter that holds back what one of these libraries said less than EVERY_SECONDS ago.

    The next line that is let through says how many were.

    It is a filter of a handler: lines of all threads pass it, under the handler's lock or beside it, so a count may be
    one too low.
    """

    def __init__(self, libraries: Collection[str], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._libraries, self._clock = frozenset(libraries), clock
        self._said: dict[_Text, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is written; it gets a field `held_back` where others were not."""
        if record.name.partition(".")[0] not in self._libraries:
            return True
        text, now = (record.name, record.levelno, str(record.msg)), self._clock()
        said_at, held_back = self._said.get(text, (-EVERY_SECONDS, 0))
        if now - said_at < EVERY_SECONDS:
            self._said[text] = (said_at, held_back + 1)
            return False
        if held_back:
            record.held_back = held_back
        if len(self._said) >= _MOST_REMEMBERED:
            self._said.clear()
        self._said[text] = (now, 0)
        return True
