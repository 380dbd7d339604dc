"""Decide where each partition begins after a takeover, and what must not be passed over in silence. Pure.

    profile-events   the source position; the group's offset is for people, a difference is logged
    exports          the group's offset; where there is none, the beginning of a log that holds nothing yet

The same gaps are found while a worker runs (`held_start`): a log's start may move past what it has read at any moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from processor.foundation.errors import StoppedForOperator
from processor.foundation.gaps import EVERY_GAP, AcceptedGaps, Gap
from processor.foundation.settings_environment import env_name

_MOST_NAMES: Final = 20
"""Gaps that one remedy names: the line stays below 2,048 bytes with topic names of a usual length."""
_TOOL: Final = "kafka-consumer-groups.sh --reset-offsets --execute"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of a partition: its log start offset, its last stable offset, and the group's offset (None: none)."""

    topic: str
    partition: int
    begin: int
    end: int
    committed: int | None

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


@dataclass(frozen=True, slots=True)
class Skipped:
    """The offsets that an operator lets a partition pass over: from `first` up to and without `next`, by `why`."""

    first: int
    next: int
    why: Literal["SKIP_TO", "ACCEPT_GAPS"]


@dataclass(frozen=True, slots=True)
class Start:
    """The offset at which a partition is read on, and what was passed over to get there."""

    position: int
    skipped: Skipped | None = None


class GapFound(StoppedForOperator):
    """Something is missing that only an operator may do without: `fault` says what, `gap` is what to accept."""

    def __init__(self, gap: Gap, fault: str, effect: str) -> None:
        super().__init__(f"{fault}\n  {effect}, start once with {env_name('accept_gaps')}={gap.name}")
        self.gap, self.fault = gap, fault


class SeveralGaps(StoppedForOperator):
    """More than one partition of a worker has a gap: all of them are told at once, so that one decision is enough."""

    def __init__(self, found: Sequence[GapFound]) -> None:
        names = ",".join(each.gap.name for each in found) if len(found) <= _MOST_NAMES else EVERY_GAP
        remedy = f"  to go on all the same, start once with {env_name('accept_gaps')}={names}"
        super().__init__("\n".join([*(each.fault for each in found), remedy]))
        self.found = tuple(found)


class RecordsAreGone(GapFound):
    """The log no longer holds records that were not read."""

    def __init__(self, gap: Gap, lost: str) -> None:
        place = f"{gap.topic}[{gap.partition}]"
        fault = f"{place}: offsets {gap.first} to {gap.next - 1} are gone (retention, or deleted records), and {lost}"
        super().__init__(gap, fault, "to go on without them")


class StateIsGone(GapFound):
    """The group has read events, but no changelog row says so."""

    def __init__(self, bounds: Bounds, committed: int) -> None:
        fault = (
            f"{bounds}: the group has read up to {committed}, but the changelog holds no source position:"
            " it was deleted or"
            " emptied"
        )
        effect = f"to process everything again from {bounds.begin} (records leave again, with the same ids)"
        super().__init__(Gap(bounds.topic, bounds.partition, committed, committed), fault, effect)


class OffsetIsGone(GapFound):
    """The group has no offset on `exports`, but records are there: how far they were delivered is not known.

    A worker commits the first offset of a partition before anything is exported, so a missing one was removed; or
    nothing was ever delivered by a version that did not do so yet, as where every flow was paused from the start. Who
    accepts the gap has all of it delivered. The gap goes by the log's end: the next time, the end is another one.
    """

    def __init__(self, bounds: Bounds, group: str) -> None:
        fault = (
            f"{bounds}: the consumer group {group} has no offset, though records {bounds.begin} to {bounds.end - 1} are"
            " there: how far they were delivered is not known (the group was deleted, was idle for longer than"
            " offsets.retention.minutes, or was not copied with the topics; or, before an upgrade, nothing of it was"
            " ever delivered, as with a flow that was paused from the start)\n  to go on at a place that you know, set"
            f" it while the workers are stopped: {_TOOL} --group {group} --topic {bounds.topic}:{bounds.partition}"
            " --to-offset N, or --to-latest: nothing of what is there leaves again"
        )
        effect = f"to deliver all of it again from {bounds.begin}, with the same ids"
        super().__init__(Gap(bounds.topic, bounds.partition, bounds.end, bounds.end), fault, effect)


_BEGIN_ANEW: Final = (
    "  the state belongs to the old one; to begin anew, stop all workers, delete the changelog topic, the consumer"
    " group and the topics exports and delivery-positions, empty the data directories and run `profile-exporter init`;"
    " where consumers still need what waits on exports, keep exports and delivery-positions, and set the group's"
    f" offset of exports by {_TOOL}"
)


class TopicIsAnother(StoppedForOperator):
    """The topic has its old name, and is not the one that the state was made from."""

    def __init__(self, topic: str, partition: int, known: str, found: str) -> None:
        super().__init__(
            f"{topic}[{partition}]: the topic was deleted and created again (its id was {known}, and is"
            f" {found})\n{_BEGIN_ANEW}"
        )


class LogIsShorter(StoppedForOperator):
    """The log ends before what was read of it: it is not the log we knew."""

    def __init__(self, bounds: Bounds, wanted: int, remedy: str = _BEGIN_ANEW) -> None:
        super().__init__(
            f"{bounds} ends at {bounds.end}, but was read up to {wanted}: the topic was deleted and created again, or"
            f" truncated\n{remedy}"
        )


class ExportsAreShorter(LogIsShorter):
    """The log of `exports` ends before what was delivered of it; the state is not concerned."""

    def __init__(self, bounds: Bounds, wanted: int) -> None:
        remedy = (
            f"  to deliver what it holds now, stop all workers and set the group's offset: {_TOOL} --topic"
            f" {bounds.topic}:{bounds.partition} --to-earliest; parked flows remember the old one: delete the topic"
            " delivery-positions too, and run `profile-exporter init`"
        )
        super().__init__(bounds, wanted, remedy)


class LogKind(NamedTuple):
    """The words for a log: what records of a gap missed, and the error of a log that ends too early."""

    lost: str
    shorter: type[LogIsShorter]


SOURCE_LOG: Final = LogKind("were not processed", LogIsShorter)
EXPORTS_LOG: Final = LogKind("were not delivered", ExportsAreShorter)


def source_start(
    bounds: Bounds, source_position: int | None, accepted: AcceptedGaps, skip_to: int | None = None
) -> Start:
    """Return where profile-events is read from; raise RecordsAreGone, LogIsShorter, StateIsGone (exit code 3).

    `skip_to` is where an operator wants to go on, leaving out what lies between; it never goes back, and never past the
    end.
    """
    if source_position is None and bounds.committed and skip_to is None:
        gone = StateIsGone(bounds, bounds.committed)
        if not accepted.cover(gone.gap):
            raise gone
    begin = bounds.begin if source_position is None else source_position
    wanted = skip_to if skip_to is not None and begin < skip_to <= bounds.end else begin
    held = held_start(bounds, wanted, accepted, SOURCE_LOG)
    if held.position == begin:
        return held
    return Start(held.position, Skipped(begin, held.position, "SKIP_TO" if held.skipped is None else "ACCEPT_GAPS"))


def exports_start(bounds: Bounds, accepted: AcceptedGaps, group: str) -> Start:
    """Return where exports is read from; raise RecordsAreGone, ExportsAreShorter, OffsetIsGone (exit code 3)."""
    if bounds.committed is not None:
        return held_start(bounds, bounds.committed, accepted, EXPORTS_LOG)
    gone = OffsetIsGone(bounds, group)
    if bounds.begin < bounds.end and not accepted.cover(gone.gap):
        raise gone
    return Start(bounds.begin)


def held_start(bounds: Bounds, wanted: int, accepted: AcceptedGaps, kind: LogKind) -> Start:
    """Return where a log is read on that was read up to `wanted`; raise RecordsAreGone, LogIsShorter."""
    if wanted > bounds.end:
        raise kind.shorter(bounds, wanted)
    if wanted >= bounds.begin:
        return Start(wanted)
    gap = Gap(bounds.topic, bounds.partition, wanted, bounds.begin)
    if not accepted.cover(gap):
        raise RecordsAreGone(gap, kind.lost)
    return Start(bounds.begin, Skipped(wanted, bounds.begin, "ACCEPT_GAPS"))


def gaps_as_one(found: Sequence[GapFound]) -> GapFound | SeveralGaps:
    """One error of all the gaps that were found; at least one."""
    return found[0] if len(found) == 1 else SeveralGaps(found)
