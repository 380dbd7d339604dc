"""The mixes that `benchmarks.core` decides: events, their catalog, and the events that fill the profiles before."""

from collections.abc import Iterable, Iterator
from random import Random
from typing import Any, NamedTuple

import orjson
import yaml

from benchmarks.events import AUDIENCES, first_events, flows_file, profile_events
from processor.core.catalog import Catalog
from schemas.audience import Audience
from schemas.flow import Flow
from schemas.kafka import ReadRecord

PROFILES = 20_000
EVENTS = 20_000

TIME = "2026-01-11T23:37:33Z"
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"suppressUnchanged": True},
    {"membershipGate": "everQualified"},
    {"membershipGate": "none", "triggers": {"attributes": False}},
    {"membershipScope": "all", "identityFields": "all"},
    {"membershipScope": "mapped", "includeSegmentTimestamps": True},
    {"envelope": "cloudevents"},
    {"partitionKey": "identity:ecid"},
    {"lowercaseNamespaces": True, "allowArrays": True},
    {"triggers": {"identities": False, "externalSegments": False}},
)
ATTRIBUTES = (["person.name.firstName"], ["person"], ["personalEmail.address", "_acme.tier"])

Event = tuple[bytes, bytes]


class Mix(NamedTuple):
    """Events, and the catalog that decides them; `first` fill the profiles."""

    name: str
    catalog: Catalog
    first: list[ReadRecord]
    events: list[ReadRecord]


def one_flow() -> Mix:
    """Three mapped audiences and two attributes; every event writes every part of a profile of 20 audiences."""
    catalog = catalog_of(yaml.safe_load(flows_file("http://127.0.0.1:1")))
    return Mix(
        "one flow, 20 audiences a profile",
        catalog,
        records(first_events(PROFILES), 0),
        records(profile_events(EVENTS, PROFILES), PROFILES),
    )


def ten_flows() -> Mix:
    """Every option in turn; an event writes one part of a profile of 3 audiences."""
    flows = [
        {
            "id": f"f{number}",
            "destination": {"type": "kinesis", "stream": "bench", "region": "us-east-1"},
            "audiences": [{"namespace": "ups", "id": audience} for audience in AUDIENCES[number : number + 3]],
            "attributes": ATTRIBUTES[number % len(ATTRIBUTES)],
            "options": options,
        }
        for number, options in enumerate(OPTIONS)
    ]
    return Mix(
        "ten flows, 3 audiences a profile",
        catalog_of({"flows": flows}),
        records(whole_events(), 0),
        records(partial_events(), PROFILES),
    )


def catalog_of(configuration: dict[str, Any]) -> Catalog:
    flows = [Flow.model_validate(flow) for flow in configuration["flows"]]
    return Catalog.of(flows, [Audience.model_validate(audience) for audience in configuration.get("audiences") or []])


def records(events: Iterable[Event], first_offset: int) -> list[ReadRecord]:
    return [
        ReadRecord("profile-events", 0, offset, 1_768_174_653_000, key, value)
        for offset, (key, value) in enumerate(events, first_offset)
    ]


def whole_events() -> Iterator[Event]:
    """Yield for each profile one event that writes every part."""
    dice = Random(5)
    for number in range(PROFILES):
        yield event(
            f"first-{number}", number, {key: value for part in parts(number, 3, dice) for key, value in part.items()}
        )


def partial_events() -> Iterator[Event]:
    """Attributes, one membership, and identities in turn."""
    dice = Random(6)
    for number in range(EVENTS):
        profile = dice.randrange(PROFILES)
        yield event(f"evt-{number}", profile, parts(profile, 1, dice)[number % 3])


def parts(profile: int, audiences: int, dice: Random) -> list[dict[str, Any]]:
    entries = {
        audience: {"status": dice.choice(("realized", "exited"))} for audience in dice.sample(AUDIENCES, audiences)
    }
    return [
        {
            "person": {"name": {"firstName": dice.choice(("Ada", "Zoë"))}},
            "personalEmail": {"address": f"{profile}@example.com"},
        },
        {"segmentMembership": {"ups": entries}},
        {"identityMap": {"ecid": [{"id": str(dice.randrange(2)), "primary": True}], "email": [{"id": str(profile)}]}},
    ]


def event(event_id: str, profile: int, data: dict[str, Any]) -> Event:
    value = {
        "specversion": "1.0",
        "id": event_id,
        "source": "/u",
        "type": "profile.patched",
        "time": TIME,
        "data": data,
    }
    return f"p-{profile:08d}".encode(), orjson.dumps(value)
