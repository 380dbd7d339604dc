"""Print findings: lines that are ok, a warning, or FAILED, with what to do."""

import sys
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

import click


class Level(StrEnum):
    """The level of a finding: FAILED makes the command end with exit code 1."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "FAILED"


class Finding(NamedTuple):
    """A line of a report, and what to do where it is not ok."""

    level: Level
    text: str
    remedy: str = ""


_COLOURS: Final = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "red"}


def print_findings(findings: Iterable[Finding]) -> int:
    """Print each finding as it comes, on stdout; return how many FAILED."""
    failed = 0
    for level, text, remedy in findings:
        failed += level is Level.FAILED
        level_text = f"{level:8}"
        click.echo(f"{click.style(level_text, fg=_COLOURS[level]) if sys.stdout.isatty() else level_text}{text}")
        if remedy:
            click.echo(f"{'':8}  → {remedy}")
    return failed


def count_not_in_place(failed: int) -> str:
    """Return the last line of a command that found so many FAILED."""
    return f"{failed} thing{'s are' if failed > 1 else ' is'} not in place, see above"
