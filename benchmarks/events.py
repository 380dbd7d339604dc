"""Profile events of the size that production has: 20 audiences a profile, three memberships an event, in two mixes.

    every    620 bytes; always another name, of a profile that stays in a mapped audience, and now and then another
             identity: every event becomes a record of the flow below
    fifth    760 bytes; every part of a profile, mostly as it was: one event in five becomes a record

The same arguments give the same events.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

import orjson

AUDIENCES = tuple(str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)) for number in range(1, 21))
MEMBER_OF = AUDIENCES[0]  # of `every`: nobody leaves it
TIME = "2026-01-11T23:37:33Z"
EVENTS_A_SECOND = 1_000  # of `every`, by their own time
IDENTITY_EVERY = 10
IDENTITIES = {
    "ecid": [{"id": "14575006536349286404619648085736425115"}],
    "email_lc_sha256": [{"id": "655332b5fa2aea4498bf7a290cff017cb4"}],
}

Event = tuple[bytes, bytes]

FLOWS = """
audiences: []
flows:
  - id: bench
    destination: {{type: kinesis, stream: bench, region: us-east-1, endpointUrl: "{endpoint}"}}
    audiences: [{audiences}]
    attributes: [person.name.firstName, personalEmail.address]
    options: {{suppressUnchanged: true, envelope: {envelope}}}
"""


def flows_file(endpoint: str, envelope: str = "none") -> str:
    """A file for `apply`: one flow, three mapped audiences, two attributes."""
    mapped = ", ".join(f"{{namespace: ups, id: {audience}}}" for audience in AUDIENCES[:3])
    return FLOWS.format(endpoint=endpoint, audiences=mapped, envelope=envelope)


class EventMix(NamedTuple):
    """The events of a measurement: `first(profiles)` fills the profiles, `then(events, profiles)` hits them."""

    about: str
    first: Callable[[int], Iterator[Event]]
    then: Callable[[int, int], Iterator[Event]]


def profile_events(count: int, profiles: int, seed: int = 1) -> Iterator[Event]:
    """(key, value) of each event of `fifth`; profiles are hit at random."""
    dice = Random(seed)
    for number in range(count):
        profile = f"p-{dice.randrange(profiles):08d}"
        yield _event(f"evt-{number}", profile, TIME, _every_part(profile, _three_entries(TIME, dice)))


def first_events(profiles: int) -> Iterator[Event]:
    """One event a profile that fills it: after these every row has its size."""
    for number in range(profiles):
        profile = f"p-{number:08d}"
        yield _event(f"first-{number}", profile, TIME, _every_part(profile, _all_entries()))


def events_with_records(count: int, profiles: int, seed: int = 1) -> Iterator[Event]:
    """(key, value) of each event of `every`; profiles are hit at random."""
    dice = Random(seed)
    for number in range(count):
        profile, time = f"p-{dice.randrange(profiles):08d}", _time_of(number)
        entries = _three_entries(time, dice)
        if MEMBER_OF in entries:
            entries[MEMBER_OF]["status"] = "realized"
        identity = f"{dice.getrandbits(64):020d}" if number % IDENTITY_EVERY == 0 else None
        parts = _changed_parts(profile, f"John {number}", entries, identity)
        yield _event(str(UUID(int=dice.getrandbits(128), version=4)), profile, time, parts)


def first_events_with_records(profiles: int) -> Iterator[Event]:
    """One event a profile that fills it, for `every`."""
    for number in range(profiles):
        profile = f"p-{number:08d}"
        parts = _changed_parts(profile, "John", _all_entries(), identity=f"{number:020d}")
        yield _event(f"first-{number}", profile, TIME, parts)


MIXES = {
    "every": EventMix("every event becomes one record", first_events_with_records, events_with_records),
    "fifth": EventMix("one event in five becomes a record", first_events, profile_events),
}


def _time_of(number: int) -> str:
    return (datetime.fromisoformat(TIME) + timedelta(seconds=number // EVENTS_A_SECOND)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _three_entries(time: str, dice: Random) -> dict[str, dict[str, str]]:
    return {dice.choice(AUDIENCES): _entry(time, dice.choice(("realized", "exited"))) for _ in range(3)}


def _all_entries() -> dict[str, dict[str, str]]:
    return {audience: _entry(TIME, "realized") for audience in AUDIENCES}


def _entry(time: str, status: str) -> dict[str, str]:
    return {"lastQualificationTime": time, "status": status}


def _every_part(profile: str, entries: dict[str, dict[str, str]]) -> dict[str, Any]:
    return {
        "person": {"name": {"firstName": "John", "lastName": "Doe"}, "birthDate": "1980-01-01"},
        "personalEmail": {"address": f"{profile}@example.com"},
        "segmentMembership": {"ups": entries},
        "identityMap": IDENTITIES,
    }


def _changed_parts(profile: str, name: str, entries: dict[str, dict[str, str]], identity: str | None) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "person": {"name": {"firstName": name}},
        "personalEmail": {"address": f"{profile}@example.com"},
        "segmentMembership": {"ups": entries},
    }
    return parts if identity is None else parts | {"identityMap": {"ecid": [{"id": identity}]}}


def _event(event_id: str, profile: str, time: str, data: dict[str, Any]) -> Event:
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": "/unified-profile",
        "type": "profile.patched",
        "subject": profile,
        "time": time,
        "data": data,
    }
    return profile.encode(), orjson.dumps(event)
