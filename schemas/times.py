"""Read and write times as the contract has them (I3, C8); inside, they are seconds since the epoch.

The form is `YYYY-MM-DDTHH:MM:SS[.f…](Z|±HH:MM|±HHMM|±HH)`.

All that RFC 3339 has is read: lower-case `t` and `z`, a blank for the `T`, and second 60, which a clock that knows no
leap seconds tells as 59. Fractions of a second are cut off. A time is a real moment of the years 1 to 9999 in UTC.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

DAY_SECONDS: Final = 86_400
MIN_SECONDS: Final = -62_135_596_800  # 0001-01-01T00:00:00Z
MAX_SECONDS: Final = 253_402_300_799  # 9999-12-31T23:59:59Z

_CYCLE_SECONDS: Final = 146_097 * DAY_SECONDS  # of 400 years, after which the calendar is the same
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FORM: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt"
    r" ]((?:[01][0-9]|2[0-3]):[0-9]{2}):([0-9]{2})(?:\.[0-9]+)?(?:[Zz]|([+-])([0-9]{2})(?::?([0-9]{2}))?)",
)
_LAST_SECOND: Final = "59"
_LEAP_SECOND: Final = "60"
_CACHED_TIMES: Final = (
    65_536  # times repeat: audiences are evaluated in runs, and an event's time stands in its entries
)
_CACHED_DATES: Final = 4_096
_DATE_CHARACTERS: Final = len("YYYY-MM-DD")
_LAST_DIGIT: Final = len("YYYY-MM-DDTHH:MM:S")
_NEXT_DIGIT: Final = {str(digit): str(digit + 1) for digit in range(9)}
LONGEST_CACHED: Final = 64
"""Characters of a time that is worth keeping.

A fraction may have millions of digits (I3): nobody may fill the memory with such.
"""


class BadTimeError(ValueError):
    """The text is not a time in the contract's form, or not a real moment of the years 1 to 9999 in UTC."""


def parse_time(text: str) -> int:
    """Return seconds since 1970-01-01T00:00:00Z of a time in the contract's form; raise BadTimeError with the text."""
    return _cached_seconds(text) if len(text) <= LONGEST_CACHED else _seconds(text)


@lru_cache(maxsize=_CACHED_TIMES)
def _cached_seconds(text: str) -> int:
    return _seconds(text)


def _seconds(text: str) -> int:
    match = _FORM.fullmatch(text)
    if match is None:
        raise BadTimeError(f"{_short(text)} is not a time of the form YYYY-MM-DDTHH:MM:SS[.f](Z|+HH:MM|+HHMM|+HH)")
    date, minute, second, sign, hours, minutes = match.groups()
    cycles = 0
    if date.startswith("0000"):  # the year before 1 at places west of Greenwich: datetime has none
        date, cycles = f"0400{date[4:]}", 1
    try:
        moment = datetime.fromisoformat(
            f"{date}T{minute}:{_LAST_SECOND if second == _LEAP_SECOND else second}"
        ).replace(tzinfo=UTC)
    except ValueError as error:
        raise BadTimeError(f"{_short(text)} is not a real moment: {error}") from None
    seconds = _whole_seconds(moment) - cycles * _CYCLE_SECONDS
    if sign is not None:
        seconds -= _offset_seconds(text, sign, int(hours), int(minutes or 0))
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise BadTimeError(f"{_short(text)} lies outside the years 1 to 9999 in UTC")
    return seconds


def _short(text: str) -> str:
    """Return the text as an error quotes it, cut: a fraction may have any number of digits."""
    return repr(text[:64])


def _whole_seconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return since.days * DAY_SECONDS + since.seconds


def _offset_seconds(text: str, sign: str, hours: int, minutes: int) -> int:
    if hours > 23 or minutes > 59:
        raise BadTimeError(f"{_short(text)} has an offset from UTC that does not exist")
    seconds = hours * 3600 + minutes * 60
    return seconds if sign == "+" else -seconds


def format_time(seconds: int) -> str:
    """Return the moment as a record shows it, `YYYY-MM-DDTHH:MM:SSZ`. Home of C8.

    Raises BadTimeError outside the years 1 to 9999.
    """
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise BadTimeError(f"{seconds} s since the epoch lies outside the years 1 to 9999")
    moment = _EPOCH + timedelta(seconds=seconds)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def normal_time(text: str) -> str:
    """Return `text` in the form of C8, so that such times compare as strings; raises BadTimeError."""
    return _cached_normal(text) if len(text) <= LONGEST_CACHED else format_time(_seconds(text))


@lru_cache(maxsize=_CACHED_TIMES)
def _cached_normal(text: str) -> str:
    return format_time(_seconds(text))


def plus_days(normal: str, days: int) -> str:
    """Return a time in the form of C8 moved by whole days, held within the years 1 to 9999."""
    midnight = _midnight_plus_days(normal[:_DATE_CHARACTERS], days)
    if midnight is None:
        return format_time(MAX_SECONDS if days > 0 else MIN_SECONDS)
    return midnight + normal[_DATE_CHARACTERS:]


@lru_cache(maxsize=_CACHED_DATES)
def _midnight_plus_days(date: str, days: int) -> str | None:
    """Return a date moved by whole days; None where it would lie outside the years 1 to 9999."""
    seconds = parse_time(f"{date}T00:00:00Z") + days * DAY_SECONDS
    return format_time(seconds)[:_DATE_CHARACTERS] if MIN_SECONDS <= seconds <= MAX_SECONDS else None


def plus_second(normal: str) -> str:
    """Return the second after a time in the form of C8 below the last one; nearly always without reading it."""
    last = normal[_LAST_DIGIT]
    if last == "9":
        return format_time(parse_time(normal) + 1)
    return f"{normal[:_LAST_DIGIT]}{_NEXT_DIGIT[last]}Z"
