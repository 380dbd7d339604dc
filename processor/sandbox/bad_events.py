"""Events that no worker can use, one function a kind, each with the reason it is dead-lettered for (contract I4)."""

from collections.abc import Callable
from random import Random
from typing import Any, Final, NamedTuple

import orjson

from schemas.dead_letter import DeadLetterReason

Event = dict[str, Any]

_DEPTH: Final = 1000
_RUBBISH_BYTES: Final = 300


class BadEvent(NamedTuple):
    """A bad event: the key and value of a record, and why it cannot be used."""

    key: bytes | None
    value: bytes
    reason: DeadLetterReason


def make_bad_event(number: int, key: str, good: Event, dice: Random) -> BadEvent:
    """Return the `number`th bad event, one kind after the other; `good` is a usable event about profile `key`."""
    make, reason = _KINDS[number % len(_KINDS)]
    return BadEvent(None if reason is DeadLetterReason.BAD_KEY else key.encode(), make(good, dice), reason)


def _binary_rubbish(_good: Event, dice: Random) -> bytes:
    return b"\xff" + dice.randbytes(_RUBBISH_BYTES)


def _cut_short(good: Event, _dice: Random) -> bytes:
    return orjson.dumps(good)[:-2]


def _old_cloudevent(good: Event, _dice: Random) -> bytes:
    return orjson.dumps(good | {"specversion": "0.3"})


def _unknown_type(good: Event, _dice: Random) -> bytes:
    return orjson.dumps(good | {"type": "profile.teleported"})


def _impossible_day(good: Event, _dice: Random) -> bytes:
    return orjson.dumps(good | {"time": "2026-02-30T12:00:00Z"})


def _about_another_profile(good: Event, _dice: Random) -> bytes:
    return orjson.dumps(good | {"subject": "somebody-else"})


def _nested_too_deep(good: Event, _dice: Random) -> bytes:
    head, _, tail = orjson.dumps(good | {"data": {"hole": "HOLE"}}).partition(b'"HOLE"')
    return head + b'{"a":' * _DEPTH + b"1" + b"}" * _DEPTH + tail


def _unknown_status(good: Event, _dice: Random) -> bytes:
    return orjson.dumps(good | {"data": {"segmentMembership": {"ups": {"vip-customers": {"status": "perhaps"}}}}})


def _number_too_large(good: Event, _dice: Random) -> bytes:
    return orjson.dumps(good | {"data": {"visits": "VISITS"}}).replace(b'"VISITS"', b"%d" % (2**64))


def _without_key(good: Event, _dice: Random) -> bytes:
    return orjson.dumps(good)


_KINDS: Final[tuple[tuple[Callable[[Event, Random], bytes], DeadLetterReason], ...]] = (
    (_binary_rubbish, DeadLetterReason.NOT_UTF8),
    (_cut_short, DeadLetterReason.NOT_JSON),
    (_old_cloudevent, DeadLetterReason.NOT_CLOUDEVENTS),
    (_unknown_type, DeadLetterReason.UNKNOWN_TYPE),
    (_impossible_day, DeadLetterReason.BAD_TIME),
    (_about_another_profile, DeadLetterReason.SUBJECT_MISMATCH),
    (_nested_too_deep, DeadLetterReason.BAD_SHAPE),
    (_unknown_status, DeadLetterReason.BAD_STATUS),
    (_without_key, DeadLetterReason.BAD_KEY),  # sent without a key
    (_number_too_large, DeadLetterReason.BAD_NUMBER),
)
