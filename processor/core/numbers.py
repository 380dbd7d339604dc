"""Whole numbers that neither 64 bits nor a double can hold as they were written (contract I13).

orjson reads a whole number beyond 64 bits as a double, which is another number, and says nothing. So an event that
holds a double of such a size is read once more, with its whole numbers as they were written. Only what is kept counts:
`xdm:a` beside `a`, or an identity whose id is empty, is as not written.
"""

import json
from typing import Any, Final, NamedTuple

from processor.core.unusable import Unusable
from schemas.dead_letter import DeadLetterReason
from schemas.xdm import PREFIX, plain_members, plain_names

LARGE: Final = 9223372036854775808.0
"""A double below it, without its sign, was not made of a whole number beyond 64 bits."""

_LOWEST: Final = -(2**63)
_HIGHEST: Final = 2**64 - 1
_APART: Final = ("segmentMembership", "identityMap")
_BYTE_ORDER_MARK: Final = "\ufeff"
_SURELY_IN_RANGE: Final = 18  # characters
_MOST_CHARACTERS: Final = 20  # of a number in range
_SHOWN_CHARACTERS: Final = 64
_SHOWN_CHARACTERS_OF_A_PLACE: Final = 200


class _OutOfRange(NamedTuple):
    """A whole number beyond 64 bits, as it was written."""

    text: str


def check_whole_numbers(text: bytes, member: str) -> None:
    """Raise Unusable where a number that is kept is a whole number outside -2^63 to 2^64-1. Home of I13.

    `text` is the event, and `member` its member that holds the data; "": `text` is the data itself. Both are known to
    be well-formed.
    """
    parsed = json.loads(text.decode().lstrip(_BYTE_ORDER_MARK), parse_int=_whole_number)
    data = parsed[member] if member else parsed
    found = _first(_kept(data), "data")
    if found:
        raise Unusable(
            DeadLetterReason.BAD_NUMBER,
            f"{found} is a whole number outside -2^63 to 2^64-1, which no 64 bits hold: write it as a string",
        )


def is_json(text: bytes) -> bool:
    """Return whether a text is JSON, whatever the size of its numbers."""
    try:
        json.loads(
            text, parse_constant=_refuse, parse_int=len
        )  # Python makes no whole number of more than 4,300 digits
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _whole_number(text: str) -> int | _OutOfRange:
    if len(text) <= _SURELY_IN_RANGE:
        return 0
    if len(text) > _MOST_CHARACTERS or not _LOWEST <= int(text) <= _HIGHEST:
        return _OutOfRange(text)
    return 0


def _kept(data: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of a patch or a document, its memberships and identities last."""
    apart = {name: data[name] if name in data else data.get(PREFIX + name) for name in _APART}
    attributes = {name: value for name, value in data.items() if name.removeprefix(PREFIX) not in apart}
    memberships, identities = apart["segmentMembership"] or {}, apart["identityMap"] or {}
    return {
        **plain_members(attributes),
        "segmentMembership": {
            namespace: {audience: plain_names(entry) for audience, entry in (entries or {}).items()}
            for namespace, entries in memberships.items()
            if namespace
        },
        "identityMap": {
            namespace: [item for item in plain_names(listed or []) if item["id"]]
            for namespace, listed in identities.items()
            if namespace
        },
    }


def _first(value: Any, place: str) -> str:
    """Return the path of the first number out of range, and the number; "" where there is none."""
    if isinstance(value, _OutOfRange):
        return f"{place[:_SHOWN_CHARACTERS_OF_A_PLACE]}: {value.text[:_SHOWN_CHARACTERS]}"
    if isinstance(value, dict):
        inside = [(f"{place}.{name[:_SHOWN_CHARACTERS]}", item) for name, item in value.items()]
    elif isinstance(value, list):
        inside = [(f"{place}[{number}]", item) for number, item in enumerate(value)]
    else:
        return ""
    for where, item in inside:
        if found := _first(item, where):
            return found
    return ""
