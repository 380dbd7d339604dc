"""Records and reasons by flow are exact whatever is listed in a step, and whatever catalogs come and go (contract
section 7).
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from processor.core.catalog import Catalog
from processor.core.counts import Counts
from processor.core.replay import Replay
from processor.core.step import Step
from schemas.flow import Flow
from schemas.kafka import ReadRecord
from tests.core.reference import ReferenceReplay
from tests.core.strategies import crowds, histories
from tests.kit.builders import History, flow, member
from tests.kit.examples import law
from tests.kit.given import a_catalog

Told = Counter[tuple[str, str]]
"""By flow id and `exported`, or a reason to send nothing."""


def told(counts: Counts) -> dict[tuple[str, str], int]:
    skipped = {
        (flow_id, str(reason)): count
        for flow_id, flow in counts.flows.items()
        for reason, count in flow.skipped.items()
    }
    exported = {(flow_id, "exported"): flow.exported for flow_id, flow in counts.flows.items() if flow.exported}
    return skipped | exported


def counted(steps: Sequence[Step]) -> Counts:
    counts = Counts()
    for each in steps:
        counts.count_step(each)
    return counts


@law(200)
@given(st.lists(crowds(min_flows=1, max_flows=6), min_size=1, max_size=3), histories(max_size=16), st.data())
def test_counts_are_the_models_while_catalogs_change_however_events_are_grouped(
    configurations: list[dict[str, Any]], history: list[ReadRecord], data: st.DataObject
) -> None:
    catalogs = [a_catalog(each) for each in configurations]
    replay, reference, expected = Replay(catalogs[0]), ReferenceReplay(configurations[0]), Told()
    total, group = Counts(), Counts()
    for record in history:
        now = data.draw(st.integers(0, len(catalogs) - 1))
        replay.catalog, reference.flows = catalogs[now], configurations[now]["flows"]
        sent, _ = reference.feed(record)
        expected.update((line["flow"], "exported") for line in sent)
        expected.update(reference.skipped.items())

        group.count_step(replay.feed(record))

        if data.draw(st.booleans()):
            total.add(group)
            group = Counts()
            assert told(total) == expected
    total.add(group)
    assert told(total) == expected


def test_flows_that_come_go_and_are_disabled_keep_what_befell_them() -> None:
    def some(*ids: str, disabled: str = "") -> tuple[Flow, ...]:
        return tuple(flow(f"ups/{each}", id=each, state="disabled" if each == disabled else "enabled") for each in ids)

    history = History(*some("a", "b", "c", "d"))
    steps = [history.patch(member(audience="a")), history.patch({"x": 1})]
    history.replay.catalog = Catalog.of(some("b", "c", "d", "e", disabled="b"), ())
    steps += [
        history.patch(member(audience="b")),
        history.patch(member(audience="e")),
        history.event("profile.deleted"),
    ]

    assert told(counted(steps)) == {
        ("a", "exported"): 1,
        ("a", "nothing_mapped_changed"): 1,
        ("b", "nothing_mapped_changed"): 2,
        ("b", "flow_disabled"): 3,
        ("c", "nothing_mapped_changed"): 4,
        ("c", "not_a_member"): 1,
        ("d", "nothing_mapped_changed"): 4,
        ("d", "not_a_member"): 1,
        ("e", "nothing_mapped_changed"): 1,
        ("e", "exported"): 2,
    }


def test_flows_that_are_forgotten_are_counted_together_and_come_back_only_with_something_new() -> None:
    history = History(*(flow(f"ups/{each}", id=each) for each in "ab"))
    counts = counted([history.patch(member(audience="a")), history.patch({"x": 1})])

    counts.forget_flows(lambda flow_id: flow_id == "a")
    counts.count_step(history.patch({"x": 2}))
    counts.forget_flows(lambda flow_id: flow_id == "a")
    total = Counts()
    total.add(counts)
    counts.forget_flows(lambda flow_id: flow_id == "a")
    total.add(Counts())

    assert {flow_id for flow_id, _ in told(total)} == {"b"}
    assert (total.forgotten.exported, total.forgotten.causes, total.forgotten.skipped) == (
        1,
        {"segment": 1},
        {"nothing_mapped_changed": 2},
    )
    assert total == counts


def test_reading_the_counts_changes_nothing() -> None:
    history = History(*(flow(f"ups/{each}", id=each) for each in "abcd"))
    counts, read_between = Counts(), Counts()
    for audience in "abca":
        taken = history.patch(member(audience=audience))
        counts.count_step(taken)
        read_between.count_step(taken)
        assert all(count > 0 for each in read_between.flows.values() for count in each.skipped.values())

    assert told(read_between) == told(counts)


def test_records_are_counted_once_a_kind_of_cause() -> None:
    history = History(flow("ups/a", "ups/b", id="f", attributes=("n", "m")))
    steps = [history.patch({**member(), "n": 1, "m": 1}), history.patch({"n": 2}), history.patch(member(audience="b"))]

    counts = counted(steps).flows["f"]

    assert (counts.exported, dict(counts.causes), counts.skipped) == (3, {"attribute": 2, "segment": 2}, {})
