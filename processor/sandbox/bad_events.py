"""Events that no worker can use, one function a kind, with the reason each must be put aside for (contract I4)."""

from collections.abc import Callable
from random import Random
from typing import Any, Final, NamedTuple

import orjson

from schemas.dead_letter import DeadLetterReason

Event = dict[str, Any]

_DEPTH: Final = 1000
_RUBBISH_BYTES: Final = 300


class Poison(NamedTuple):
    """A record's key and value, and why it cannot be used."""

    key: bytes | None
    value: bytes
    reason: DeadLetterReason


def poison(number: int, key: str, good: Event, dice: Random) -> Poison:
    """The `number`th unusable event, one kind after the other; `good` is a usable one about profile `key`."""
    make, reason = _KINDS[number % len(_KINDS)]
    return Poison(None if reason is DeadLetterReason.BAD_KEY else key.encode(), make(good, dice), reason)


def _binary_rubbish(_good: Event, dice: Random) -> bytes:
    return b"\xff" + dice.randbytes(_RUBBISH_BYTES)


def _cut_short(good: Event, _dice: Random) -> bytes:
    return orjson.dumps(good)[:-2]


def _old_cloudevent(good: Event, _dice: Random) -> bytes:
    return orjson.dumps(good | {"specversion": "0.3"})


def _unheard_of(good: Event, _dice: Random) -> bytes:
    return orjson.dumps(good | {"type": "profile.teleported"})


def _no_such_day(good: Event, _dice: Random) -> bytes:
    return orjson.dumps(good | {"time": "2026-02-30T12:00:00Z"})


def _about_somebody_else(good: Event, _dice: Random) -> bytes:
    return orjson.dumps(good | {"subject": "somebody-else"})


def _bottomless(good: Event, _dice: Random) -> bytes:
    head, _, tail = orjson.dumps(good | {"data": {"hole": "HOLE"}}).partition(b'"HOLE"')
    return head + b'{"a":' * _DEPTH + b"1" + b"}" * _DEPTH + tail


def _half_a_member(good: Event, _dice: Random) -> bytes:
    return orjson.dumps(good | {"data": {"segmentMembership": {"ups": {"vip-customers": {"status": "perhaps"}}}}})


def _one_too_many(good: Event, _dice: Random) -> bytes:
    return orjson.dumps(good | {"data": {"visits": "VISITS"}}).replace(b'"VISITS"', b"%d" % (2**64))


def _as_it_is(good: Event, _dice: Random) -> bytes:
    return orjson.dumps(good)


_KINDS: Final[tuple[tuple[Callable[[Event, Random], bytes], DeadLetterReason], ...]] = (
    (_binary_rubbish, DeadLetterReason.NOT_UTF8),
    (_cut_short, DeadLetterReason.NOT_JSON),
    (_old_cloudevent, DeadLetterReason.NOT_CLOUDEVENTS),
    (_unheard_of, DeadLetterReason.UNKNOWN_TYPE),
    (_no_such_day, DeadLetterReason.BAD_TIME),
    (_about_somebody_else, DeadLetterReason.SUBJECT_MISMATCH),
    (_bottomless, DeadLetterReason.BAD_SHAPE),
    (_half_a_member, DeadLetterReason.BAD_STATUS),
    (_as_it_is, DeadLetterReason.BAD_KEY),  # sent without a key
    (_one_too_many, DeadLetterReason.BAD_NUMBER),
)
