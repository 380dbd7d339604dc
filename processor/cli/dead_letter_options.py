"""The options that select dead letters; `list` and `redrive` have the same."""

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import click

from processor.dead_letters.selection import OffsetRange, Selection
from schemas.dead_letter import DeadLetterReason
from schemas.times import BadTimeError, normal_time

Command = TypeVar("Command", bound=Callable[..., Any])


class _Parsed(click.ParamType):
    """A parameter that a function of ours parses; it raises ValueError."""

    def __init__(self, name: str, parse: Callable[[str], object]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse the text, or fail with a usage error (exit code 2)."""
        try:
            return self._parse(value) if isinstance(value, str) else value
        except (ValueError, BadTimeError) as error:
            self.fail(str(error), param, ctx)


_TIME: Final = _Parsed("time", normal_time)
_RANGE: Final = _Parsed("first-last", OffsetRange.parse)
_OPTIONS: Final = (
    click.option(
        "--flow",
        "flows",
        multiple=True,
        metavar="ID",
        help="Dead letters of this flow; may be given again. [default: all]",
    ),
    click.option(
        "--reason",
        "reasons",
        multiple=True,
        type=click.Choice([reason.value for reason in DeadLetterReason]),
        help="Dead letters with this reason; may be given again. [default: all]",
    ),
    click.option(
        "--profile",
        "profiles",
        multiple=True,
        metavar="ID",
        help="Dead letters of this profile; may be given again. [default: all]",
    ),
    click.option(
        "--partition",
        "partitions",
        multiple=True,
        type=click.IntRange(min=0),
        help="Dead letters in this partition; may be given again. [default: all]",
    ),
    click.option(
        "--offsets", type=_RANGE, help="Dead letters at these offsets of the topic: 7, or 7-12. [default: all]"
    ),
    click.option(
        "--since",
        type=_TIME,
        help="Records with a Kafka timestamp from this time on: 2026-01-31T08:00:00Z. [default: all]",
    ),
    click.option("--until", type=_TIME, help="Records with a Kafka timestamp before this time. [default: all]"),
)


def selecting(command: Command) -> Command:
    """Give the command all of these options; `build_selection` turns them into a Selection."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def build_selection(
    flows: Iterable[str],
    reasons: Iterable[str],
    profiles: Iterable[str],
    partitions: Iterable[int],
    offsets: OffsetRange | None,
    since: str | None,
    until: str | None,
) -> Selection:
    """Return the Selection that the options describe."""
    return Selection(
        flows=frozenset(flows),
        reasons=frozenset(map(DeadLetterReason, reasons)),
        partitions=frozenset(partitions),
        offsets=offsets,
        profiles=frozenset(profile.encode() for profile in profiles),
        since=since,
        until=until,
    )
