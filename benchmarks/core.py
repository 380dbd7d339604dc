"""The core's cost by stage: python -m benchmarks.core [--interpreted]

    decode (a row) → parse → fold → decide (every flow) → encode (the row)      `run`: what the pipeline does with it all,
                                                                                 export records, counts and row cache included

Microseconds an event, in runs as the worker decides them, over 20,000 profiles. The median of five rounds, and the
lowest: whatever else the machine does only adds. Compiled as in production (setup.py), unless told otherwise.
"""

import gc
import os
import sys
from collections.abc import Iterable, Iterator
from random import Random
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import orjson
import yaml

from benchmarks.contenders import compiled_packages
from benchmarks.events import AUDIENCES, first_events, flows_file, profile_events
from processor.core.catalog import Catalog
from processor.core.decide import decide
from processor.core.fold import fold
from processor.core.parse import parse_event
from processor.core.step import Limits
from processor.hot_path import COMPILED
from processor.pipeline.decided import Policy, decide_run
from processor.pipeline.partition import RUN_RECORDS
from processor.pipeline.profiles import Profiles
from schemas.audience import Audience
from schemas.event import SourceRecord
from schemas.flow import Flow
from state.rows import decode_row, encode_row, profile_key
from tests.kit.compiled import preferring

PROFILES = 20_000
EVENTS = 20_000

ROUNDS = 5
CACHE_BYTES = 256 << 20
POLICY = Policy(Limits(), 0)
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
    first: list[SourceRecord]
    events: list[SourceRecord]


def one_flow() -> Mix:
    """Three mapped audiences and two attributes; every event writes every part of a profile of 20 audiences."""
    catalog = catalog_of(yaml.safe_load(flows_file("http://127.0.0.1:1")))
    return Mix("one flow, 20 audiences a profile", catalog, records(first_events(PROFILES), 0), records(profile_events(EVENTS, PROFILES), PROFILES))


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
    return Mix("ten flows, 3 audiences a profile", catalog_of({"flows": flows}), records(whole_events(), 0), records(partial_events(), PROFILES))


def catalog_of(configuration: dict[str, Any]) -> Catalog:
    flows = [Flow.model_validate(flow) for flow in configuration["flows"]]
    return Catalog.of(flows, [Audience.model_validate(audience) for audience in configuration.get("audiences") or []])


def records(events: Iterable[Event], first_offset: int) -> list[SourceRecord]:
    return [SourceRecord("profile-events", 0, offset, 1_768_174_653_000, key, value) for offset, (key, value) in enumerate(events, first_offset)]


def whole_events() -> Iterator[Event]:
    """Of each profile one event that writes every part."""
    dice = Random(5)
    for number in range(PROFILES):
        yield event(f"first-{number}", number, {key: value for part in parts(number, 3, dice) for key, value in part.items()})


def partial_events() -> Iterator[Event]:
    """Attributes, one membership, and identities in turn."""
    dice = Random(6)
    for number in range(EVENTS):
        profile = dice.randrange(PROFILES)
        yield event(f"evt-{number}", profile, parts(profile, 1, dice)[number % 3])


def parts(profile: int, audiences: int, dice: Random) -> list[dict[str, Any]]:
    entries = {audience: {"status": dice.choice(("realized", "exited"))} for audience in dice.sample(AUDIENCES, audiences)}
    return [
        {"person": {"name": {"firstName": dice.choice(("Ada", "Zoë"))}}, "personalEmail": {"address": f"{profile}@example.com"}},
        {"segmentMembership": {"ups": entries}},
        {"identityMap": {"ecid": [{"id": str(dice.randrange(2)), "primary": True}], "email": [{"id": str(profile)}]}},
    ]


def event(event_id: str, profile: int, data: dict[str, Any]) -> Event:
    value = {"specversion": "1.0", "id": event_id, "source": "/u", "type": "profile.patched", "time": TIME, "data": data}
    return f"p-{profile:08d}".encode(), orjson.dumps(value)


class MemoryRows:
    """`pipeline.ports.ProfileRows` in memory."""

    def __init__(self, rows: dict[bytes, bytes]) -> None:
        self.rows = rows
        self.watermark = None

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        return [self.rows.get(key) for key in keys]

    def apply(self, rows: dict[bytes, bytes | None], changelog_next_offset: int) -> None:
        """Not called: the rows of a round are those of the last."""


def runs(of: list[SourceRecord]) -> Iterator[list[SourceRecord]]:
    return (of[begin : begin + RUN_RECORDS] for begin in range(0, len(of), RUN_RECORDS))


def filled(mix: Mix) -> dict[bytes, bytes]:
    """The row of every profile after its first event."""
    profiles = Profiles(MemoryRows({}), 0)
    decided = decide_run(mix.first, profiles, mix.catalog, POLICY, 0, 0)
    return {key: row for key, row in decided.rows.items() if row is not None}


def stages(mix: Mix, stored: dict[bytes, bytes]) -> dict[str, float]:
    """Seconds of each stage over all events, in the pipeline's order: a run's rows, then event by event, then its rows again."""
    decode, parse, folding, deciding, encode = 0.0, 0.0, 0.0, 0.0, 0.0
    for run in runs(mix.events):
        begun = perf_counter()
        rows = [decode_row(stored[profile_key(record.key)]) for record in run]
        decode += perf_counter() - begun
        after = []
        for row, record in zip(rows, run, strict=True):
            t1 = perf_counter()
            event = parse_event(record)
            t2 = perf_counter()
            change = fold(row.profile, event, 1)
            t3 = perf_counter()
            for flow in mix.catalog.flows:
                decide(flow, record, change, mix.catalog)
            t4 = perf_counter()
            parse, folding, deciding = parse + t2 - t1, folding + t3 - t2, deciding + t4 - t3
            after.append(change.after)
        begun = perf_counter()
        for profile in after:
            encode_row(profile, 1)
        encode += perf_counter() - begun
    return {"decode": decode, "parse": parse, "fold": folding, "decide": deciding, "encode": encode}


def whole(mix: Mix, stored: dict[bytes, bytes]) -> tuple[float, int]:
    """(seconds of the pipeline's own loop over all events, export records)."""
    profiles = Profiles(MemoryRows(stored), CACHE_BYTES)
    seconds, exports = 0.0, 0
    for sequence, run in enumerate(runs(mix.events)):
        begun = perf_counter()
        decided = decide_run(run, profiles, mix.catalog, POLICY, sequence, 0)
        profiles.applied(sequence, decided.rows)
        seconds += perf_counter() - begun
        exports += len(decided.exports)
    return seconds, exports


def measure(mix: Mix) -> None:
    """Print one mix."""
    stored = filled(mix)
    rounds: list[dict[str, float]] = []
    for _ in range(ROUNDS):
        spent = stages(mix, stored)
        seconds, exports = whole(mix, stored)
        rounds.append({**spent, "five stages": sum(spent.values()), "run": seconds})
    row_bytes = sum(map(len, stored.values())) / len(stored)
    print(f"{mix.name}: {exports / EVENTS:.2f} records an event, {row_bytes:,.0f} bytes a row")
    for stage in rounds[0]:
        each = [spent[stage] / EVENTS * 1e6 for spent in rounds]
        print(f"  {stage:12} {median(each):6.1f} µs an event, lowest {min(each):6.1f}")


def main() -> None:
    """Print every mix, here or in a process that has the compiled packages."""
    if not COMPILED and "--interpreted" not in sys.argv:
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.core"], preferring(compiled_packages(), os.environ))
    print("compiled" if COMPILED else "interpreted")
    gc.disable()  # the worker collects rarely
    measure(one_flow())
    measure(ten_flows())


if __name__ == "__main__":
    main()
