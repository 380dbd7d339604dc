"""Errors of commands that cannot go on, with their exit codes (0 done, 1 failed, 2 wrong usage, settings or file)."""

from typing import ClassVar


class CommandError(Exception):
    """A clear text: the thing and the place; the remedy is its last line, indented by two blanks."""

    exit_code: ClassVar[int] = 1


class UsageError(CommandError):
    """Wrong usage, settings or file."""

    exit_code: ClassVar[int] = 2


class StoppedForOperator(CommandError):
    """Going on needs a person's decision, as after too many bad events in a row (contract I4)."""

    exit_code = 3


def what_and_remedy(error: CommandError) -> tuple[str, str]:
    """Return what went wrong, in one line, and what to do about it: the last line of several, "" where there is one."""
    *lines, last = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return ("; ".join(lines), last) if lines else (last, "")
