"""What a command says when it cannot go on; each error knows its exit code (0 done, 1 failed, 2 wrong usage, settings or file)."""

from typing import ClassVar


class CommandError(Exception):
    """A clear text: the thing, the place, the remedy."""

    exit_code: ClassVar[int] = 1


class UsageError(CommandError):
    """Wrong usage, settings or file."""

    exit_code: ClassVar[int] = 2


class StoppedForOperator(CommandError):
    """Going on needs a person's decision, as after too many bad events in a row (contract I4)."""

    exit_code = 3
