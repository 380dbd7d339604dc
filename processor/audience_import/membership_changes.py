"""Who is in an audience, by the changelog: the last row of each profile says it. Reads, and changes nothing."""

from collections.abc import Callable, Iterator, Mapping

from processor.core.partitioner import partition_of
from processor.foundation.settings import Settings
from processor.kafka.group_lag import PartitionLag, group_lag
from processor.kafka.reading import read_topic
from schemas.audience import AudienceKey
from schemas.kafka import ReadRecord
from schemas.partitioner import Partitioner
from schemas.profile import REALIZED
from schemas.wire.profiles_changelog import PROFILE, decode_row


def membership_changes(
    settings: Settings, audience: AudienceKey, beside: Callable[[ReadRecord], None] = lambda _: None
) -> Iterator[tuple[str, bool | None]]:
    """(profile id, whether it is realized in the audience), a row of the changelog after the other: the last one of a
    profile counts.

    None instead of whether: there is no such profile any more. A row that stands elsewhere than its key belongs is
    passed over: what a command writes does not reach it (I12). `beside` gets every record that is no profile's row.
    Raises as `read_topic` does, and UnreadableRow.
    """
    namespace, audience_id = audience
    mentioned = audience_id.encode()
    for record in read_topic(settings, settings.topics.changelog):
        if record.key is None or not record.key.startswith(PROFILE):
            beside(record)
            continue
        key = record.key[len(PROFILE) :]
        if (
            settings.partitioner is not Partitioner.NONE
            and partition_of(key, settings.partitions, settings.partitioner) != record.partition
        ):
            continue
        profile_id = key.decode()
        if record.value is None:
            yield profile_id, None
            continue
        if not (mentioned in record.value or b"\\" in record.value):
            yield profile_id, False
            continue
        entry = decode_row(record.value).profile.memberships.get(namespace, {}).get(audience_id, "")
        yield profile_id, entry > REALIZED


def ends_of_events(settings: Settings) -> dict[int, int]:
    """Where profile-events ends now, by partition."""
    return {place.partition: place.end for place in _places(settings)}


def events_not_applied(settings: Settings, ends: Mapping[int, int]) -> int:
    """How many offsets below these the workers have not processed; what comes after them does not count, events never
    cease.
    """
    return sum(max(0, ends[place.partition] - max(place.start, place.committed or 0)) for place in _places(settings))


def _places(settings: Settings) -> list[PartitionLag]:
    (places,) = group_lag(settings, [settings.topics.profile_events]).values()
    return places
