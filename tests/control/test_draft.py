"""A change in the making: whoever looked at its state keeps what it saw, and a change costs what is changed, not what
is there.
"""

import time

from processor.catalog.state import ControlState, Kept
from processor.control.draft import Draft
from schemas.audience import Audience
from schemas.wire.audit_events import Author

AUTHOR = Author("ada", "command")


def an_audience(number: int) -> Audience:
    return Audience(namespace="ups", id=f"audience-{number}")


def a_draft(state: ControlState) -> Draft:
    return Draft(state, AUTHOR, 1_768_174_653_000, lambda: "etag")


def a_state(audiences: int) -> ControlState:
    kept = Kept(an_audience(0), "etag", 0, 0)
    return ControlState(audiences={("other", str(number)): kept for number in range(audiences)})


def test_what_was_seen_of_a_draft_stays_as_it_was() -> None:
    given = a_state(1)
    draft = a_draft(given)

    seen = [draft.state]
    for number in range(3):
        draft.put_audience(an_audience(number))
        seen.append(draft.state)
    draft.put_audience(an_audience(3))
    draft.put_audience(an_audience(4))

    assert seen[0] is given
    assert [len(state.audiences) for state in seen] == [1, 2, 3, 4]
    assert len(draft.state.audiences) == 6
    assert draft.state == given.after(draft.records)


def seconds_of_changes(state: ControlState) -> float:
    draft = a_draft(state)
    began = time.thread_time()
    for number in range(500):
        draft.put_audience(an_audience(number))
    return time.thread_time() - began


def test_a_change_costs_what_is_changed_and_not_what_is_there() -> None:
    few, many = a_state(0), a_state(200_000)

    ratios = [seconds_of_changes(many) / seconds_of_changes(few) for _ in range(3)]

    assert min(ratios) < 6  # 50 where each record copied what is there
