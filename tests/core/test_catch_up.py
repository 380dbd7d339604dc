"""What a flow catches up with when it is enabled again, against the independent model: the record at the pause, and the
record now (contract F1).
"""

import copy
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.core.replay import Replay
from processor.core.step import Limits
from schemas.flow import Flow
from schemas.kafka import ReadRecord
from tests.core import strategies
from tests.core.control import Control
from tests.core.reference import Place, ReferenceReplay, State, mapped, read_time, render_attributes, render_identities
from tests.core.reference import gate_is_open as lets_pass
from tests.kit.examples import law
from tests.kit.given import a_flow, cloud_event, exited, realized

MAX_BYTES = 2_000


class ReferencePause:
    """One flow, disabled from now on, in words of the model: what it would have sent, and the profiles as they
    stood.
    """

    def __init__(self, model: ReferenceReplay, flow: dict[str, Any], since: str) -> None:
        self._model, self._flow, self._since = model, flow, since
        self._stood: dict[Place, State] = copy.deepcopy(model.profiles)
        self._due: set[Place] = set()

    def feed(self, record: ReadRecord) -> None:
        """The flow hears nothing of it; who ends is forgotten, and was never there if he comes back."""
        lines, _ = self._model.feed(record)
        self._due |= {
            (record.topic, record.partition, line["key"]) for line in lines if line["flow"] == self._flow["id"]
        }
        for place in [place for place in {*self._stood, *self._due} if place not in self._model.profiles]:
            self._stood.pop(place, None)
            self._due.discard(place)

    def catch_up(self, now: str) -> list[tuple[str, list[str], Any]]:
        """(profile, causes, record) of each that differs."""
        found = (self._record(place, now) for place in sorted(self._due))
        return [record for record in found if record is not None]

    def _record(self, place: Place, now: str) -> tuple[str, list[str], Any] | None:
        stood, stands = self._stood.get(place), self._model.profiles[place]
        if stood is not None and self._same(stood, stands):
            return None
        were, are = self._realized(stood), self._realized(stands)
        if were == are and not lets_pass(self._flow, stands):
            return None
        causing = sorted(each for each in (were ^ are) or are if stands.status(each) is not None)
        causes = [f"catchup:{namespace}/{audience}" for namespace, audience in causing] or ["catchup"]
        return place[-1], sorted(causes), self._render(stands, now, causing)

    def _realized(self, state: State | None) -> set[tuple[str, str]]:
        return (
            set()
            if state is None
            else {audience for audience in mapped(self._flow) if state.status(audience) == "realized"}
        )

    def _same(self, one: State, other: State) -> bool:
        said = [json.dumps(self._render(state, self._since, []), sort_keys=True) for state in (one, other)]
        return said[0] == said[1]

    def _render(self, state: State, time: str, causing: list[tuple[str, str]]) -> Any:
        membership = self._model._render_membership(self._flow, state, read_time(time), causing)
        return {
            **render_attributes(self._flow, state),
            "segmentMembership": membership,
            "identityMap": render_identities(self._flow, state),
        }


@law(150)
@given(strategies.configurations(), strategies.histories(), st.integers(0, 100))
def test_law_f1_a_catch_up_sends_what_the_reference_sends(
    configuration: dict[str, Any], history: list[ReadRecord], paused_at: int
) -> None:
    """Whatever flows and events there are."""
    flow = {**configuration["flows"][0], "state": "enabled"} if configuration["flows"] else a_flow("f")
    require_equal_to_the_reference(flow, history, paused_at)


flows = st.builds(
    lambda options: a_flow("f", ["a", "b"], ["n"], **options),
    st.just({})
    | st.fixed_dictionaries(
        {},
        optional={
            "membershipGate": st.sampled_from(["none", "everQualified"]),
            "membershipScope": st.sampled_from(["mapped", "all"]),
            "suppressUnchanged": st.just(True),
            "triggers": st.sampled_from([{"segments": False}, {"identities": False}, {"attributes": False}]),
        },
    ),
)
statuses = [change(audience) for change in (realized, exited) for audience in ("a", "b", "u", "v")]
writes: list[Any] = [{"n": 1}, {"n": 1}, {"n": 2}, {"n": None}]
identities = [{"identityMap": {"ECID": [{"id": number}]}} for number in "12"]
data = st.sampled_from(statuses) | st.sampled_from(writes) | st.sampled_from([*identities, {"unmapped": 1}])
kinds = st.sampled_from(["profile.patched"] * 8 + ["profile.replaced", "profile.deleted"])


@st.composite
def narrow_histories(draw: st.DrawFn) -> list[ReadRecord]:
    """A member, and somebody else at times, to whom the same few things happen again and again."""
    first = ("p-1", "profile.patched", {**realized("a"), "n": 1})
    events = [
        first,
        *draw(st.lists(st.tuples(st.sampled_from(["p-1"] * 4 + ["p-2"]), kinds, data), min_size=1, max_size=5)),
    ]
    return [
        ReadRecord(
            "profile-events", 0, offset, 0, key.encode(), orjson.dumps(cloud_event(what, kind, key, id=f"e-{offset}"))
        )
        for offset, (key, kind, what) in enumerate(events)
    ]


@law(300)
@given(flows, narrow_histories(), st.integers(1, 3))
def test_law_f1_a_catch_up_compares_the_record_at_the_pause_with_the_record_now(
    flow: Any, history: list[ReadRecord], paused_at: int
) -> None:
    """Of each profile for which an event would have sent a record meanwhile, whatever changed its record before
    that.
    """
    require_equal_to_the_reference(flow, history, paused_at)


def require_equal_to_the_reference(flow: dict[str, Any], history: list[ReadRecord], paused_at: int) -> None:
    control, model = Control(), ReferenceReplay({"flows": [flow]}, max_document_bytes=MAX_BYTES)
    replay = Replay(control.catalog, Limits(max_document_bytes=MAX_BYTES))
    list(replay.change(control.put(Flow.model_validate(flow))))
    before, meanwhile = history[: paused_at % (len(history) + 1)], history[paused_at % (len(history) + 1) :]
    for record in before:
        replay.feed(record)
        model.feed(record)

    list(replay.change(control.set(flow["id"], state="disabled")))
    pause = ReferencePause(model, flow, next(job.created_at for job in control.jobs.values() if job.kind == "catchup"))
    for record in meanwhile:
        replay.feed(record)
        pause.feed(record)
    caught_up = list(replay.change(control.set(flow["id"], state="enabled")))

    wanted = pause.catch_up(caught_up[0].time if caught_up else pause._since)
    assert [(record.key, list(record.causes), orjson.loads(record.data)) for record in caught_up] == wanted


def test_f1_a_record_that_an_event_changed_without_sending_it_leaves_where_a_later_one_would_have_sent_it() -> None:
    """An unmapped audience alone is no cause (A4), but it is listed (C2): the write of the same value sends it, paused
    or not.
    """
    control = Control()
    replay = Replay(control.catalog)
    list(replay.change(control.put(a_flow("f", ["a"], ["n"]))))
    events = [{**realized("a"), "n": 1}, realized("u"), {"n": 1}]
    records = [
        ReadRecord("profile-events", 0, offset, 0, b"p-1", orjson.dumps(cloud_event(data, id=f"e-{offset}")))
        for offset, data in enumerate(events)
    ]
    replay.feed(records[0])

    list(replay.change(control.set("f", state="disabled")))
    for record in records[1:]:
        replay.feed(record)
    (caught_up,) = replay.change(control.set("f", state="enabled"))

    assert orjson.loads(caught_up.data)["segmentMembership"]["ups"].keys() == {"a", "u"}


MEMBER = {
    "segmentMembership": {"ups": {"a": {"status": "realized"}}},
    "n": 1,
    "m": {"x": [1], "y": 1},
    "identityMap": {"ECID": [{"id": "1"}]},
}


def missed(events: list[tuple[str, Any]], **options: Any) -> list[bool]:
    """What a disabled flow is asked for at the last of these events, those before it were before the pause: whether it
    would have sent.
    """
    control = Control()
    replay = Replay(control.catalog)
    list(replay.change(control.put(a_flow("f", ["a"], ["n", "m.x"], **options))))
    *before, last = [
        ReadRecord(
            "profile-events", 0, offset, 0, key.encode(), orjson.dumps(cloud_event(data, subject=key, id=f"e-{offset}"))
        )
        for offset, (key, data) in enumerate(events)
    ]
    for record in before:
        replay.feed(record)
    list(replay.change(control.set("f", state="disabled")))
    return [sends for _, sends in replay.feed(last).missed]


@pytest.mark.parametrize(
    "event",
    [
        {"unmapped": 2},
        {"m": {"y": 2}},
        {"other": {"n": 1}},
        {"identityMap": {"ECID": [{"id": "1"}]}, "unmapped": 3},
        {"segmentMembership": MEMBER["segmentMembership"], "unmapped": 4},
    ],
)
def test_f1_an_event_that_changes_nothing_of_its_record_costs_a_disabled_flow_nothing(event: Any) -> None:
    """Neither a look at its notes nor a record is made for it, at any such event: there may be millions, and a hundred
    flows.
    """
    assert missed([("p-1", MEMBER), ("p-1", event)]) == []


def test_f1_with_suppress_unchanged_what_is_written_again_costs_a_disabled_flow_nothing() -> None:
    member = {**MEMBER, "n": 70_000.5}

    assert missed([("p-1", member), ("p-1", {"n": 70_000.5, "m": {"x": [1]}})], suppressUnchanged=True) == []


def test_f1_an_unmapped_audience_costs_a_flow_that_lists_none_nothing() -> None:
    assert missed([("p-1", MEMBER), ("p-1", realized("u"))], membershipScope="mapped") == []
    assert missed([("p-1", MEMBER), ("p-1", exited("u"))]) == [], "C2 lists no unmapped audience that was left"
    assert missed([("p-1", MEMBER), ("p-1", realized("u"))]) == [False]


@pytest.mark.parametrize("event", [{"n": 2}, {"m": {"x": 3}}, {"identityMap": {"ECID": [{"id": "2"}]}}, realized("u")])
def test_f1_nothing_is_noted_of_who_is_in_no_mapped_audience(event: Any) -> None:
    """He is owed nothing while he is in none, and a record that differs once he is in one (A9): his record at the pause
    decides neither.
    """
    outsider = {"n": 1, "m": {"x": 1}}

    assert missed([("p-1", outsider), ("p-1", event)]) == []
    assert missed([("p-1", outsider)]) == []
    assert missed([("p-1", outsider), ("p-1", realized("a"))]) == [True]


@pytest.mark.parametrize("gate", ["none", "everQualified"])
def test_f1_with_another_gate_the_record_at_the_pause_counts_of_everybody(gate: str) -> None:
    assert missed([("p-1", {"n": 1}), ("p-1", {"n": 2})], membershipGate=gate) == [gate == "none"]


@pytest.mark.parametrize("count", [1, 3, 8])
def test_f1_of_many_disabled_flows_an_event_asks_only_those_whose_record_it_changes(count: int) -> None:
    control = Control()
    replay = Replay(control.catalog)
    for number in range(count):
        list(replay.change(control.put(a_flow(f"f{number}", ["a"], [f"n{number}"]))))
    replay.feed(ReadRecord("profile-events", 0, 0, 0, b"p-1", orjson.dumps(cloud_event(realized("a"), id="e-0"))))
    for number in range(count):
        list(replay.change(control.set(f"f{number}", state="disabled")))

    step = replay.feed(ReadRecord("profile-events", 0, 1, 0, b"p-1", orjson.dumps(cloud_event({"n0": 1}, id="e-1"))))

    assert [(flow.id, sends) for flow, sends in step.missed] == [("f0", True)]
