"""Tell when a membership ends by itself (F5), in one place for the fold and for the events that say so.

    realized, with `validUntil`                  exit at that time
    realized in an external audience without     exit 30 days after its `lastQualificationTime`
    realized in `ups` without                    never
    exited                                       purge a second after 30 days: C2 lists it to the second

A `validUntil` before the entry's `lastQualificationTime` is as none. A deadline past the year 9999 is none.
"""

from typing import Final

from schemas.audience import OWN_NAMESPACE
from schemas.profile import EXITED, Document
from schemas.times import MAX_SECONDS, format_time, normal_time, plus_days, plus_second

EXPIRY_DAYS: Final = 30
NEVER: Final = ""
"""The deadline of what never ends by itself."""

VALID_UNTIL: Final = "validUntil"
LAST_TIME: Final = format_time(MAX_SECONDS)


def deadline_of(namespace: str, entry: str, fields: Document | None) -> str:
    """Return when an entry ends by itself, in the form of C8; NEVER where it does not.

    `fields`: those of the entry beside its status and its `lastQualificationTime`; None: it has none.
    """
    if entry[0] == EXITED:
        return purge_deadline(entry)
    valid_until = _valid_until(entry, fields)
    if valid_until is not None:
        return valid_until
    return NEVER if namespace == OWN_NAMESPACE else _after_days(entry[1:])


def has_ended(namespace: str, entry: str, fields: Document | None, now: str) -> bool:
    """Return whether an entry's deadline has come at `now`, a time in the form of C8."""
    deadline = deadline_of(namespace, entry, fields)
    return deadline != NEVER and deadline <= now


def purge_deadline(entry: str) -> str:
    """Return when an exited entry is purged, in the form of C8; NEVER where that lies past the year 9999."""
    ends = _after_days(entry[1:])
    return ends and plus_second(ends)


def _valid_until(entry: str, fields: Document | None) -> str | None:
    written = None if fields is None else fields.get(VALID_UNTIL)
    if written is None:
        return None
    valid_until = normal_time(written)
    return valid_until if valid_until >= entry[1:] else None


def _after_days(time: str) -> str:
    ends = plus_days(time, EXPIRY_DAYS)
    return NEVER if ends >= LAST_TIME else ends
