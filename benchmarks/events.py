"""Profile events of the size that production has: 20 audiences a profile, rows of about 2.4 KB, three entries an event.

The same arguments give the same events. About two in five events cause a record of the flow below.
"""

from collections.abc import Iterator
from random import Random
from uuid import UUID

import orjson

AUDIENCES = tuple(str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)) for number in range(1, 21))
TIME = "2026-01-11T23:37:33Z"
IDENTITIES = {
    "ecid": [{"id": "14575006536349286404619648085736425115"}],
    "email_lc_sha256": [{"id": "655332b5fa2aea4498bf7a290cff017cb4"}],
}

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


def profile_events(count: int, profiles: int, seed: int = 1) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of each event; profiles are hit at random."""
    dice = Random(seed)
    for number in range(count):
        profile = f"p-{dice.randrange(profiles):08d}"
        yield profile.encode(), orjson.dumps(_event(number, profile, dice))


def first_events(profiles: int, seed: int = 2) -> Iterator[tuple[bytes, bytes]]:
    """One event a profile that fills it: after these every row has its size."""
    dice = Random(seed)
    for number in range(profiles):
        profile = f"p-{number:08d}"
        event = _event(number, profile, dice)
        event["id"] = f"first-{number}"
        entries = {audience: {"lastQualificationTime": TIME, "status": "realized"} for audience in AUDIENCES}
        event["data"]["segmentMembership"] = {"ups": entries}
        yield profile.encode(), orjson.dumps(event)


def _event(number: int, profile: str, dice: Random) -> dict[str, object]:
    entries = {
        dice.choice(AUDIENCES): {"lastQualificationTime": TIME, "status": dice.choice(("realized", "exited"))}
        for _ in range(3)
    }
    return {
        "specversion": "1.0",
        "id": f"evt-{number}",
        "source": "/unified-profile",
        "type": "profile.patched",
        "subject": profile,
        "time": TIME,
        "data": {
            "person": {"name": {"firstName": "John", "lastName": "Doe"}, "birthDate": "1980-01-01"},
            "personalEmail": {"address": f"{profile}@example.com"},
            "segmentMembership": {"ups": entries},
            "identityMap": IDENTITIES,
        },
    }
