"""The benchmarks are run by hand; what they lean on must not move away unseen."""

import pkgutil
from copy import deepcopy
from importlib import import_module

import orjson
import pytest
import yaml

import benchmarks
from benchmarks.core import POLICY, MemoryRows
from benchmarks.events import MIXES, flows_file
from benchmarks.mixes import catalog_of, records
from benchmarks.peers.rules import apply
from processor.pipeline.decider import RunStart, decide_run
from processor.pipeline.profiles import Profiles

MODULES = [
    module.name
    for module in pkgutil.walk_packages(benchmarks.__path__, "benchmarks.")
    if not module.name.endswith(".job")
]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_of_the_benchmarks_can_be_imported(name: str) -> None:
    module = import_module(name)

    assert module.__doc__


PROFILES, EVENTS = 50, 2_000


@pytest.mark.parametrize(("mix", "least", "most"), [("every", 1.0, 1.0), ("fifth", 0.15, 0.25)])
def test_as_many_events_as_a_mix_says_become_records_of_ours_and_of_the_peers(
    mix: str, least: float, most: float
) -> None:
    events = [*MIXES[mix].first(PROFILES), *MIXES[mix].then(EVENTS, PROFILES)]
    catalog, profiles = catalog_of(yaml.safe_load(flows_file("http://127.0.0.1:1"))), Profiles(MemoryRows({}), 1 << 20)

    ours = decide_run(records(events, 0), profiles, catalog, POLICY, RunStart(0, 0, b"0", {})).exports
    theirs = records_of_peers(events)

    assert [orjson.loads(export.value or b"") for export in ours] == theirs
    assert least <= (len(theirs) - PROFILES) / EVENTS <= most


def records_of_peers(events: list[tuple[bytes, bytes]]) -> list[object]:
    """Return copies: what `apply` returns has parts of the profile, which later events change in place."""
    profiles: dict[bytes, dict[str, object]] = {}
    decided = [deepcopy(apply(profiles.setdefault(key, {}), orjson.loads(value))) for key, value in events]
    return [record for record in decided if record is not None]


def test_an_event_of_the_first_mix_has_620_bytes() -> None:
    values = [value for _, value in MIXES["every"].then(EVENTS, PROFILES)]

    assert sum(map(len, values)) / EVENTS == pytest.approx(620, abs=10)
