"""Where each partition begins after a takeover, and what must not be passed over in silence. Pure.

    profile-events   the watermark; the group's offset is for people, a difference is logged
    exports          the group's offset, else the log's beginning
"""

from dataclasses import dataclass

from processor.errors import StoppedForOperator
from processor.settings import env_name


@dataclass(frozen=True, slots=True)
class Bounds:
    """A partition: the first offset the log still holds, the one after its last stable record, and the group's (None: none)."""

    topic: str
    partition: int
    begin: int
    end: int
    committed: int | None

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


class RecordsAreGone(StoppedForOperator):
    """The log no longer holds records that were not read."""

    def __init__(self, bounds: Bounds, wanted: int) -> None:
        super().__init__(
            f"{bounds}: offsets {wanted} to {bounds.begin - 1} are gone (retention, or deleted records), and were not processed\n"
            f"  to go on without them, set {env_name('accept_gaps')}=true for one start"
        )


class TopicIsAnother(StoppedForOperator):
    """The topic has its old name, and is not the one that the state was made from."""

    def __init__(self, topic: str, partition: int, known: str, found: str) -> None:
        super().__init__(
            f"{topic}[{partition}]: the topic was deleted and created again (its id was {known}, and is {found})\n"
            "  the state belongs to the old one; to begin anew, delete the changelog topic and the consumer group, "
            "empty the data directories and run `profile-exporter init`"
        )


class LogIsShorter(StoppedForOperator):
    """The log ends before what was read of it: it is not the log we knew."""

    def __init__(self, bounds: Bounds, wanted: int) -> None:
        super().__init__(
            f"{bounds} ends at {bounds.end}, but was read up to {wanted}: the topic was deleted and created again, or truncated\n"
            "  the state belongs to the old one; to begin anew, delete the changelog topic and the consumer group, "
            "empty the data directories and run `profile-exporter init`"
        )


class StateIsGone(StoppedForOperator):
    """The group has read events, but no changelog row says so."""

    def __init__(self, bounds: Bounds) -> None:
        super().__init__(
            f"{bounds}: the group has read up to {bounds.committed}, but the changelog holds no watermark: it was deleted or emptied\n"
            f"  to process everything again from {bounds.begin} (records leave again, with the same ids), "
            f"set {env_name('accept_gaps')}=true for one start"
        )


def source_position(bounds: Bounds, watermark: int | None, *, accept_gaps: bool, skip_to: int | None = None) -> int:
    """Where profile-events is read from; raises RecordsAreGone, LogIsShorter, StateIsGone (exit code 3).

    `skip_to` is where an operator wants to go on, leaving out what lies between; it never goes back, and never past the end.
    """
    if watermark is None and bounds.committed and not accept_gaps and skip_to is None:
        raise StateIsGone(bounds)
    begin = bounds.begin if watermark is None else watermark
    if skip_to is not None and begin < skip_to <= bounds.end:
        begin = skip_to
    return _held(bounds, begin, accept_gaps=accept_gaps)


def exports_position(bounds: Bounds, *, accept_gaps: bool) -> int:
    """Where exports is read from; raises RecordsAreGone, LogIsShorter."""
    if bounds.committed is None:
        return bounds.begin
    return _held(bounds, bounds.committed, accept_gaps=accept_gaps)


def _held(bounds: Bounds, wanted: int, *, accept_gaps: bool) -> int:
    if wanted > bounds.end:
        raise LogIsShorter(bounds, wanted)
    if wanted < bounds.begin:
        if not accept_gaps:
            raise RecordsAreGone(bounds, wanted)
        return bounds.begin
    return wanted
