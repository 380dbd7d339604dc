"""The circumstances of a redrive, as the broker and the topics have them now."""

from contextlib import suppress

from processor.catalog.reading import read_state
from processor.catalog.state import Topic
from processor.dead_letters.outcome import Circumstances
from processor.dead_letters.redrive import origin_topic
from processor.foundation.settings import Settings
from processor.kafka.admin import Admin
from processor.kafka.dead_letter_batches import fits_alone
from processor.kafka.limits import topic_limits
from processor.kafka.profile_partitions import NotOnePartition, ProfilePartitions
from processor.kafka.timestamps import TimestampBounds
from schemas.dead_letter import StoredDeadLetter
from schemas.kafka import ProducerRecord


def read_circumstances(
    settings: Settings, admin: Admin, partitions: ProfilePartitions, bounds: TimestampBounds
) -> Circumstances:
    """Read what dead letters meet when they are sent again; `bounds` are those of `profile-events`.

    Raises BrokerUnreachable, ReadFailed.
    """
    names = settings.topics
    limits = topic_limits(admin, (names.exports, names.profile_events))

    def fits(letter: StoredDeadLetter) -> bool:
        limit = limits[origin_topic(letter, names)].max_message_bytes
        return limit is None or fits_alone(
            ProducerRecord(letter.was.key, letter.was.value, list(letter.headers)), limit
        )

    def partition_of(letter: StoredDeadLetter) -> int | None:
        if letter.is_of_delivery:
            return letter.partition
        with suppress(NotOnePartition):
            return partitions.choose(letter.was.key or b"", letter.partition)
        return None

    return Circumstances(
        flows=_read_flow_ids(settings),
        max_record_bytes=settings.kinesis_max_record_bytes,
        event_times=range(max(bounds.earliest, bounds.kept_from), bounds.latest + 1),
        fits=fits,
        partition_of=partition_of,
    )


def _read_flow_ids(settings: Settings) -> frozenset[str]:
    """Read the ids of all flows that stand on the topic, also of those that are leaving or cannot be read."""
    state = read_state(settings, (Topic.FLOWS,))
    unreadable = {key.decode(errors="replace") for topic, key in state.unreadable if topic is Topic.FLOWS}
    return frozenset({*state.flows, *state.leaving, *unreadable})
