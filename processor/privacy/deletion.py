"""Profiles deleted on request: an event for each, and a receipt of what the topics say became of it (F3).

look before    changelog: whose row is there      exports: where its partitions end
write          a profile.deleted for each, acknowledged
wait           until the source position in the changelog is past each of them: that, and its rows, are one commit
look after     changelog and exports from there on: is a row left, and what left because of the event
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import orjson

from processor.core.partitioner import partition_of
from processor.foundation.errors import CommandError
from processor.foundation.settings import Settings
from processor.kafka.errors import BrokerUnreachable, ReadFailed, WriteFailed
from processor.kafka.log_ends import stable_ends
from processor.kafka.profile_partitions import NotOnePartition, profile_partitions
from processor.kafka.writer import Writer
from processor.privacy.receipt import ChangelogRows, Deletion, LastRecord, Receipt, Report, read_last_records
from schemas.event import EventType, cloud_event
from schemas.partitioner import Partitioner
from schemas.wire.profiles_changelog import profile_key

SOURCE: Final = "/profile-exporter/commands"
_POLL_SECONDS: Final = 0.25
_AWAY: Final = (BrokerUnreachable, ReadFailed)
_MOST_FAULTS: Final = 20
_AGAIN: Final = "  start it again: to delete a profile twice does no harm"


class Request(NamedTuple):
    """A request to delete profiles, each once; `at`: the time of the events, in the form of C8.

    `wait_seconds` None: do not wait. `partition`: of which one; None: that of the profile (I12).
    """

    profiles: Sequence[str]
    at: str
    wait_seconds: float | None
    partition: int | None = None


class OnTwoPartitions(CommandError):
    """Nobody can say which half of a profile is meant; `faults` are one text each."""

    def __init__(self, faults: Sequence[str]) -> None:
        more = [f"  and {len(faults) - _MOST_FAULTS} more"] if len(faults) > _MOST_FAULTS else []
        super().__init__("\n".join(["nothing was written: PARTITIONER=none, and", *faults[:_MOST_FAULTS], *more]))


def delete_profiles(settings: Settings, request: Request, new_id: Callable[[], str], report: Report) -> list[Receipt]:
    """Delete profiles, and return the receipts in the order asked.

    `new_id` gives each event another id. Raises BrokerUnreachable, ReadFailed and OnTwoPartitions before anything is
    written, WriteFailed where not everything is. From then on there is a receipt, whatever happens: a broker that is
    away is waited for as the workers are.
    """
    places = _choose_partitions(settings, request, report)
    if request.wait_seconds is None:
        return [Receipt(deletion, None) for deletion in _write(settings, request, places, new_id)]
    partitions = set(places.values())
    partition_of_key = {profile_key(profile.encode()): partition for profile, partition in places.items()}
    rows = ChangelogRows(settings, partition_of_key, report)
    rows.read_on({})
    exports = stable_ends(settings, settings.topics.exports, partitions)
    deletions = _write(settings, request, places, new_id)
    deadline = time.monotonic() + request.wait_seconds
    applied = _wait(rows, deletions, deadline)
    left = _find_last_records(settings, exports, applied, deadline) if applied else {}
    return [
        Receipt(each, rows.find_applied(each, None if left is None else left.get(each)) if each in applied else None)
        for each in deletions
    ]


def _choose_partitions(settings: Settings, request: Request, report: Report) -> dict[str, int]:
    """Return the partition of each profile; raises OnTwoPartitions.

    One that is on none is deleted where murmur2 puts it: it is absent there, so nothing is applied (I8).
    """
    if request.partition is not None:
        return dict.fromkeys(request.profiles, request.partition)
    found: dict[str, int] = {}
    faults: list[str] = []
    with profile_partitions(settings, [profile.encode() for profile in request.profiles], report) as partitions:
        for profile in request.profiles:
            key = profile.encode()
            try:
                found[profile] = partitions.choose(key, partition_of(key, settings.partitions, Partitioner.MURMUR2))
            except NotOnePartition as why:
                faults.append(f"  {profile}: {why}")
    if faults:
        raise OnTwoPartitions(faults)
    return found


def _write(
    settings: Settings, request: Request, partitions: Mapping[str, int], new_id: Callable[[], str]
) -> list[Deletion]:
    topic = settings.topics.profile_events
    event_ids = {profile: new_id() for profile in request.profiles}
    places: dict[str, tuple[int, int]] = {}

    def note_place(profile: str) -> Callable[[int, int], None]:
        return lambda partition, offset: places.update({profile: (partition, offset)})

    try:
        with Writer(settings) as writer:
            for profile, event_id in event_ids.items():
                event = deletion_event(profile, event_id, request.at)
                name, partition = f"profile {profile}", partitions[profile]
                writer.write(
                    topic, profile.encode(), event, name=name, partition=partition, on_place=note_place(profile)
                )
    except WriteFailed as failed:
        raise WriteFailed([*failed.faults, _AGAIN]) from None
    return [Deletion(profile, event_id, topic, *places[profile], request.at) for profile, event_id in event_ids.items()]


def deletion_event(profile: str, event_id: str, at: str) -> bytes:
    """Return the CloudEvent that deletes a profile (I1)."""
    return orjson.dumps(cloud_event(event_id, SOURCE, EventType.DELETED, profile, at))


def _wait(rows: ChangelogRows, deletions: Sequence[Deletion], deadline: float) -> set[Deletion]:
    """Return the deletions that are applied: all of them, where that is so before the deadline."""
    offsets = {profile_key(each.profile.encode()): each.offset for each in deletions}
    while True:
        with suppress(*_AWAY):
            rows.read_on(offsets)
        applied = {each for each in deletions if rows.is_past(each)}
        if len(applied) == len(deletions) or time.monotonic() > deadline:
            return applied
        time.sleep(_POLL_SECONDS)


def _find_last_records(
    settings: Settings, first_offsets: Mapping[int, int], applied: set[Deletion], deadline: float
) -> dict[Deletion, tuple[LastRecord, ...]] | None:
    """Return what left because of each deletion; None where it is not shown in time."""
    with suppress(*_AWAY):
        return read_last_records(settings, first_offsets, applied, deadline)
    return None
