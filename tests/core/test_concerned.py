"""Only the flows that an event can concern are decided (contract A2 to A9, F3, F4); of the rest one reason holds
(section 7).
"""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given

from processor.core import step as stepping
from processor.core.catalog import FEW_FLOWS, Catalog, CompiledFlow
from processor.core.concerned import find_concerned
from processor.core.decide import SkipReason, decide, default_skip_reason
from processor.core.fold import Change, fold
from processor.core.parse import parse_event
from processor.core.step import Limits, step
from processor.core.unusable import Unusable
from processor.worker.hot_path import COMPILED
from schemas.flow import Flow
from schemas.kafka import ReadRecord
from schemas.profile import Profile
from tests.core.strategies import crowds, histories
from tests.kit.builders import BEFORE, History, flow, member
from tests.kit.examples import law
from tests.kit.given import a_catalog, cloud_event

GATES = ("realized", "everQualified", "none")
HUNDRED = tuple(
    flow(f"ups/a{n}", f"CRM/c{n}", "ups/all", id=f"f{n}", attributes=(f"_acme.f{n}.x", f"r{n}", "name.first"))
    for n in range(100)
)
EVERY = [each.id for each in HUNDRED]
NAMED = (
    flow("ups/a", id="z", attributes=("m", "p.q.r")),
    flow("ups/a", "CRM/a", id="off", attributes=("m", "p"), state="disabled"),
    flow("CRM/a", id="b", attributes=("p.q",), membershipGate="everQualified"),
    flow(id="c", attributes=("p", "identityMap.E", "x.y"), membershipGate="none"),
    flow("ups/b", id="a", attributes=("p.q.s",), onDelete="silent"),
)


def changes(history: list[ReadRecord]) -> Iterator[tuple[ReadRecord, Change]]:
    """What the events that can be applied do, whatever the catalog."""
    profiles: dict[bytes | None, Profile | None] = {}
    for record in history:
        try:
            event = parse_event(record)
        except Unusable:
            continue
        change = fold(profiles.get(record.key), event, 1)
        profiles[record.key] = change.after
        yield record, change


def concerned_by(flows: tuple[Flow, ...], *history: Any) -> list[str]:
    """The ids of the flows that the last of these events concerns; an event is `data` of a patch, or (type, data)."""
    events = [each if isinstance(each, tuple) else ("profile.patched", each) for each in history]
    values = [
        orjson.dumps(cloud_event(*data, kind=kind, id=f"e-{number}")) for number, (kind, *data) in enumerate(events)
    ]
    records = [ReadRecord("profile-events", 0, offset, None, b"p-1", value) for offset, value in enumerate(values)]
    *_, (_, change) = changes(records)
    return [each.id for each in find_concerned(change, Catalog.of(flows, ()))]


@pytest.mark.parametrize(
    ("event", "ids"),
    [
        (member(audience="a7"), ["f7"]),
        (member(audience="c7", namespace="CRM"), ["f7"]),
        (member(audience="c7"), []),
        (member("exited", audience="a7"), []),
        ({"_acme": {"f30": {"x": 1}, "f4": {"x": None}, "f5": {"y": 1}}}, ["f4", "f30"]),
        ({"_acme": {"f8": {}}}, []),
        ({"_acme": {}, "name": {"last": "L"}, "other": 1}, []),
        ({"_acme": {"f8": 5}, "r70": {"deep": {"er": 1}}}, ["f8", "f70"]),
        ({**member(audience="a99"), "r3": [1]}, ["f3", "f99"]),
        ({"identityMap": {"E": [{"id": "1"}]}, "r3": 1}, []),
        (member(audience="all"), EVERY),
        ({"name": {"first": "Ada"}}, EVERY),
        ({"_acme": None}, EVERY),
    ],
)
def test_of_a_hundred_flows_an_event_concerns_those_that_map_what_it_touches(
    event: dict[str, Any], ids: list[str]
) -> None:
    assert concerned_by(HUNDRED, event) == ids


def test_a9_identities_concern_the_flows_whose_gate_the_profile_passes() -> None:
    flows = tuple(flow(f"ups/a{n % 10}", id=f"f{n}", membershipGate=GATES[n // 10]) for n in range(30))
    change = {"identityMap": {"E": [{"id": "1"}]}}

    assert concerned_by(flows, change) == [f"f{n}" for n in range(20, 30)]
    assert concerned_by(flows, member(audience="a4"), change) == ["f4", "f14", *(f"f{n}" for n in range(20, 30))]
    assert concerned_by(flows, member("exited", audience="a4"), change) == ["f14", *(f"f{n}" for n in range(20, 30))]


def test_f3_f4_f5_deletions_concern_where_the_profile_is_realized_expiries_where_it_exits_merges_nobody() -> None:
    profile = {
        "segmentMembership": {
            "ups": {"a4": {}, "a5": {"status": "exited"}},
            "CRM": {"c6": {"lastQualificationTime": "2020-01-01T00:00:00Z"}},
        }
    }
    expiry = {
        "exit": [{"namespace": "CRM", "id": "c6"}, {"namespace": "ups", "id": "a4"}],
        "purge": [{"namespace": "ups", "id": "a5"}],
    }

    assert concerned_by(HUNDRED, profile, ("profile.deleted",)) == ["f4", "f6"]
    assert concerned_by(HUNDRED, profile, ("profile.merged", {"into": "p-2"})) == []
    assert concerned_by(HUNDRED, profile, ("membership.expired", expiry)) == ["f6"]


def test_a6_a_replacement_concerns_whoever_maps_what_was_or_is_there() -> None:
    before = {"_acme": {"f4": {"x": 1}, "f5": {"y": 1}}, "r6": 1}

    assert concerned_by(HUNDRED, before, ("profile.replaced", {"r7": {"z": 1}, "_acme": {"f4": {"x": 1}}})) == [
        "f4",
        "f6",
        "f7",
    ]


@pytest.mark.parametrize(
    ("patch", "ids"),
    [
        ({"p": {"q": {"r": 1}}}, ["z", "b", "c"]),
        ({"p": {"q": {"other": 1}}}, ["b", "c"]),
        ({"p": {"q": None}}, ["z", "b", "c", "a"]),
        ({"p": {"other": 1}}, ["c"]),
        ({"x": {"other": 1}}, []),
        ({"m": {}}, ["z"]),
    ],
)
def test_a6_a_write_concerns_mapped_paths_above_and_below_it_in_the_order_of_the_catalog(
    patch: dict[str, Any], ids: list[str]
) -> None:
    assert concerned_by(NAMED, patch) == ids


def test_few_flows_are_all_decided_and_disabled_ones_never() -> None:
    few = NAMED[1:2] + HUNDRED[:FEW_FLOWS]

    assert concerned_by(few, {"nothing": 1}) == [each.id for each in few[1:]]


@law(250)
@given(crowds(min_flows=1), histories(max_size=16))
def test_whoever_is_not_concerned_would_have_said_what_the_rest_says(
    configuration: dict[str, Any], history: list[ReadRecord]
) -> None:
    catalog = a_catalog(configuration)
    for record, change in changes(history):
        chosen = [each.id for each in find_concerned(change, catalog)]

        assert chosen == [each.id for each in catalog.enabled if each.id in chosen]
        for each in catalog.enabled:
            assert each.id in chosen or decide(each, record, change, catalog) is default_skip_reason(change)


@pytest.mark.skipif(COMPILED, reason="C calls C: nobody can listen in between")
def test_flows_that_an_event_does_not_concern_are_not_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    decided: list[str] = []

    def listening(of: CompiledFlow, *arguments: Any) -> Any:
        decided.append(of.id)
        return decide(of, *arguments)

    monkeypatch.setattr(stepping, "decide", listening)
    history = History(*HUNDRED)
    history.patch({**member(audience="a3"), "r4": 1})
    history.patch({"identityMap": {"E": [{"id": "1"}]}})
    history.event("profile.deleted")

    assert decided == ["f3", "f4", "f3", "f3"]


def test_a_step_lists_what_was_decided_and_says_of_the_rest_why_it_was_not() -> None:
    """Section 7: `skipped` tells each flow's reason all the same, the disabled one's too, in the order of the
    catalog.
    """
    history = History(*NAMED, *HUNDRED[:2])
    history.patch({**member("realized", BEFORE), "m": 1})

    quiet = history.patch({"r0": 1, "x": {"y": 2}})

    assert [record.flow_id for record in quiet.records] == ["c"]
    assert (quiet.default_skip, quiet.skips) == (SkipReason.NOTHING_MAPPED_CHANGED, (("f0", SkipReason.NOT_A_MEMBER),))
    assert quiet.skipped == (
        ("z", SkipReason.NOTHING_MAPPED_CHANGED),
        ("off", SkipReason.FLOW_DISABLED),
        ("b", SkipReason.NOTHING_MAPPED_CHANGED),
        ("a", SkipReason.NOTHING_MAPPED_CHANGED),
        ("f0", SkipReason.NOT_A_MEMBER),
        ("f1", SkipReason.NOTHING_MAPPED_CHANGED),
    )


def test_a_step_of_an_event_that_was_not_applied_says_nothing_of_any_flow() -> None:
    catalog = Catalog.of(HUNDRED, ())

    for value in (b"rubbish", None):
        taken = step(None, ReadRecord("t", 0, 0, 0, b"p-1", value), catalog, Limits())
        assert (taken.default_skip, taken.skips, taken.skipped) == (None, (), ())
