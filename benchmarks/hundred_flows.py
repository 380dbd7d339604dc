"""A hundred flows of 250 audiences and 50 attributes beside the first of them alone (contract M3).

Each has nearly everything to itself, below one root, as a tenant's attributes are; ten share an audience and an
attribute, and all share one of each. An event enters one audience and writes one attribute: those of nobody, of the
first flow, of its ten, or of all; or it changes the identities of a profile that is a member for ten.
"""

from collections.abc import Iterator
from typing import Any

from benchmarks.mixes import Mix, catalog_of, event, records

FLOWS = 100
AUDIENCES = 250
ATTRIBUTES = 50
PROFILES = 2_000
"""Each gets one event, so that it enters an audience in which it never was."""

KINDS: dict[str, tuple[str | None, str | None]] = {
    "nobody": ("nobody", "_acme.nobody.a0"),
    "one flow": ("f0-own0", "_acme.f0.a0"),
    "ten flows": ("ten-0", "_acme.ten0.tier"),
    "ten flows by identities": (None, None),
    "all flows": ("all", "person.name.firstName"),
}
"""By whom an event concerns: the audience that it enters and the attribute that it writes; neither: it changes
identities.
"""


def hundred_flows() -> Iterator[Mix]:
    """Each kind of event, decided by the first flow alone and by all."""
    flows = [_flow(number) for number in range(FLOWS)]
    first = records((event(f"first-{number}", number, _whole(number)) for number in range(PROFILES)), 0)
    for concerned, (audience, path) in KINDS.items():
        events = records(
            (event(f"evt-{number}", number, _part(number, audience, path)) for number in range(PROFILES)), PROFILES
        )
        for some in (flows[:1], flows):
            yield Mix(f"an event for {concerned}, {len(some)} there", catalog_of({"flows": some}), first, events)


def _flow(number: int) -> dict[str, Any]:
    own = [f"f{number}-own{each}" for each in range(AUDIENCES - 2)]
    attributes = [f"_acme.f{number}.a{each}" for each in range(ATTRIBUTES - 2)]
    return {
        "id": f"f{number:02}",
        "destination": {"type": "kinesis", "stream": "bench", "region": "us-east-1"},
        "audiences": [{"namespace": "ups", "id": audience} for audience in [*own, f"ten-{number % 10}", "all"]],
        "attributes": [*attributes, f"_acme.ten{number % 10}.tier", "person.name.firstName"],
    }


def _whole(profile: int) -> dict[str, Any]:
    """Realized in one audience of each of the first ten and in ten more of the first, with a value of every kind."""
    audiences = [f"f{number}-own9" for number in range(0, FLOWS, 10)] + [f"f0-own{each}" for each in range(10, 20)]
    return {
        "person": {"name": {"firstName": "Ada", "lastName": "Doe"}, "birthDate": "1980-01-01"},
        "personalEmail": {"address": f"{profile}@example.com"},
        "_acme": {"f0": {"a1": 1, "a2": "two"}, "ten0": {"tier": "gold"}, "nobody": {"a0": 0}},
        "segmentMembership": {"ups": {audience: {"status": "realized"} for audience in audiences}},
        "identityMap": _identities(profile),
    }


def _part(profile: int, audience: str | None, path: str | None) -> dict[str, Any]:
    """One audience and one attribute beside the identities that are known, or other identities."""
    if audience is None or path is None:
        return {"identityMap": _identities(-profile)}
    written: Any = profile
    for segment in reversed(path.split(".")):
        written = {segment: written}
    return {
        **written,
        "segmentMembership": {"ups": {audience: {"status": "realized"}}},
        "identityMap": _identities(profile),
    }


def _identities(profile: int) -> dict[str, Any]:
    return {"ecid": [{"id": str(profile), "primary": True}]}
