"""Find the words that start this program again: the same interpreter with the same options, and the same script."""

import sys
from collections.abc import Sequence


def program_words(
    executable: str = sys.executable, as_started: Sequence[str] = sys.orig_argv, arguments: Sequence[str] = sys.argv
) -> list[str]:
    """Return the command line that this process was started with, without its arguments.

    `python -X dev -m processor worker` gives `python -X dev -m processor`, the console script its own path.
    """
    of_program = as_started[1 : len(as_started) - len(arguments) + 1]
    return [executable, *of_program]
