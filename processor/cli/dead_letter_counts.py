"""The dead letters of the topic, counted for `status`."""

import time
from typing import Final

from processor.cli.dead_letter_options import read_letters
from processor.dead_letters.counts import Tally
from processor.dead_letters.redrive import read_redrive_markers
from processor.dead_letters.selection import Selection
from processor.foundation.settings import Settings

COUNT_SECONDS: Final = 10.0


def count_letters(settings: Settings, problems: list[str], seconds: float = COUNT_SECONDS) -> Tally:
    """Read the topic to its end, for so many seconds at most; what is no letter of ours goes to `problems`."""
    tally, deadline = Tally(), time.monotonic() + seconds
    marks = read_redrive_markers(settings)
    for letter in read_letters(settings, Selection(), problems.append):
        tally.take(letter, marks)
        if time.monotonic() > deadline:
            tally.complete = False
            break
    return tally
