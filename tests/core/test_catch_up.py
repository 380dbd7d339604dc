"""What a flow catches up with when it is enabled again, against the independent model: the record at the pause, and the record now (contract F1)."""

import copy
import json
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from processor.core.replay import Replay
from processor.core.step import Limits
from schemas.event import SourceRecord
from schemas.flow import Flow
from tests.core import strategies
from tests.core.control import Control
from tests.core.given import a_flow, cloud_event, exited, realized
from tests.core.reference import ReferenceReplay, State, mapped, read_time, render_attributes, render_identities
from tests.core.reference import gate_is_open as lets_pass

MAX_BYTES = 2_000


class ReferencePause:
    """One flow, disabled from now on, in words of the model: what it would have sent, and the profiles as they stood."""

    def __init__(self, model: ReferenceReplay, flow: dict[str, Any], since: str) -> None:
        self._model, self._flow, self._since = model, flow, since
        self._stood: dict[str, State] = copy.deepcopy(model.profiles)
        self._due: set[str] = set()

    def feed(self, record: SourceRecord) -> None:
        """The flow hears nothing of it; who ends is forgotten, and was never there if he comes back."""
        lines, _ = self._model.feed(record)
        self._due |= {line["key"] for line in lines if line["flow"] == self._flow["id"]}
        for key in [key for key in {*self._stood, *self._due} if key not in self._model.profiles]:
            self._stood.pop(key, None)
            self._due.discard(key)

    def catch_up(self, now: str) -> list[tuple[str, list[str], Any]]:
        """(profile, causes, record) of each that differs."""
        found = (self._record(key, now) for key in sorted(self._due))
        return [record for record in found if record is not None]

    def _record(self, key: str, now: str) -> tuple[str, list[str], Any] | None:
        stood, stands = self._stood.get(key), self._model.profiles[key]
        if stood is not None and self._same(stood, stands):
            return None
        were, are = self._realized(stood), self._realized(stands)
        if were == are and not lets_pass(self._flow, stands):
            return None
        causing = sorted(each for each in ((were ^ are) or are) if stands.status(each) is not None)
        causes = [f"catchup:{namespace}/{audience}" for namespace, audience in causing] or ["catchup"]
        return key, sorted(causes), self._render(stands, now, causing)

    def _realized(self, state: State | None) -> set[tuple[str, str]]:
        return set() if state is None else {audience for audience in mapped(self._flow) if state.status(audience) == "realized"}

    def _same(self, one: State, other: State) -> bool:
        said = [json.dumps(self._render(state, self._since, []), sort_keys=True) for state in (one, other)]
        return said[0] == said[1]

    def _render(self, state: State, time: str, causing: list[tuple[str, str]]) -> Any:
        membership = self._model._render_membership(self._flow, state, read_time(time), causing)
        return {**render_attributes(self._flow, state), "segmentMembership": membership, "identityMap": render_identities(self._flow, state)}


@strategies.law(150)
@given(strategies.configurations(), strategies.histories(), st.integers(0, 100))
def test_law_f1_a_catch_up_sends_what_the_reference_sends(configuration: dict[str, Any], history: list[SourceRecord], paused_at: int) -> None:
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
def narrow_histories(draw: st.DrawFn) -> list[SourceRecord]:
    """A member, and somebody else at times, to whom the same few things happen again and again."""
    first = ("p-1", "profile.patched", {**realized("a"), "n": 1})
    events = [first, *draw(st.lists(st.tuples(st.sampled_from(["p-1"] * 4 + ["p-2"]), kinds, data), min_size=1, max_size=5))]
    return [
        SourceRecord("profile-events", 0, offset, 0, key.encode(), orjson.dumps(cloud_event(what, kind, key, id=f"e-{offset}")))
        for offset, (key, kind, what) in enumerate(events)
    ]


@strategies.law(300)
@given(flows, narrow_histories(), st.integers(1, 3))
def test_law_f1_a_catch_up_compares_the_record_at_the_pause_with_the_record_now(flow: Any, history: list[SourceRecord], paused_at: int) -> None:
    """Of each profile for which an event would have sent a record meanwhile, whatever changed its record before that."""
    require_equal_to_the_reference(flow, history, paused_at)


def require_equal_to_the_reference(flow: dict[str, Any], history: list[SourceRecord], paused_at: int) -> None:
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
    """An unmapped audience alone is no cause (A4), but it is listed (C2): the write of the same value sends it, paused or not."""
    control = Control()
    replay = Replay(control.catalog)
    list(replay.change(control.put(a_flow("f", ["a"], ["n"]))))
    events = [{**realized("a"), "n": 1}, realized("u"), {"n": 1}]
    records = [
        SourceRecord("profile-events", 0, offset, 0, b"p-1", orjson.dumps(cloud_event(data, id=f"e-{offset}"))) for offset, data in enumerate(events)
    ]
    replay.feed(records[0])

    list(replay.change(control.set("f", state="disabled")))
    for record in records[1:]:
        replay.feed(record)
    (caught_up,) = replay.change(control.set("f", state="enabled"))

    assert orjson.loads(caught_up.data)["segmentMembership"]["ups"].keys() == {"a", "u"}
