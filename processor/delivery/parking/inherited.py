"""The parked flows that a new owner of a partition makes of the rows it finds there. Pure."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from processor.delivery.parking.finished import Finished
from schemas.parked_flow import ParkedFlowRow
from schemas.times import parse_time


class InheritedFlow(NamedTuple):
    """A flow that an earlier owner has parked, and that stays so. `since` in seconds since 1970."""

    flow_id: str
    known: Finished
    reason: str | None
    since: float | None
    waiting: int
    counted: int
    oldest: int | None
    gone: int


def join_rows(rows: Iterable[ParkedFlowRow], position: int) -> list[InheritedFlow]:
    """Join the rows of each flow; leave out a flow that the group's offset `position` has passed.

    Then everything is finished below it.

    What is finished is finished, whoever says so. Where one row says that the flow is parked, it is: the word of
    another that it is not (any more) may be that of an owner who was none by then. Where none does, the group's offset
    counts from the highest `until` on, so what lies between that and `position` is finished.
    """
    by_flow = groupby(sorted(rows, key=lambda row: row.flow), key=lambda row: row.flow)
    found = (_joined(flow_id, list(group), position) for flow_id, group in by_flow)
    return [each for each in found if each is not None]


def _joined(flow_id: str, rows: Sequence[ParkedFlowRow], position: int) -> InheritedFlow | None:
    known = Finished(rows[0].first)
    for row in rows:
        known = known.joined_with(Finished(row.first, row.finished))
    untils = [row.until for row in rows if row.until is not None]
    if len(untils) == len(rows):
        known = known.and_also([(max(untils), position)])
        if max(untils) <= position <= known.first:
            return None
    last = max(rows, key=lambda row: row.counted)
    paused = next((row for row in rows if row.reason is not None), last)
    since = None if paused.since is None else float(parse_time(paused.since))
    return InheritedFlow(
        flow_id, known, paused.reason, since, last.waiting, last.counted, last.oldest, max(row.gone for row in rows)
    )
