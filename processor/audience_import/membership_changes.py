"""Read from the changelog who is in an audience: the last row of each profile says it. Changes nothing."""

from collections.abc import Callable, Iterator

from processor.core.partitioner import partition_of
from processor.foundation.settings import Settings
from processor.kafka.reading import read_topic
from schemas.audience import AudienceKey
from schemas.kafka import ReadRecord
from schemas.partitioner import Partitioner
from schemas.profile import REALIZED
from schemas.wire.profiles_changelog import PROFILE, decode_row


def membership_changes(
    settings: Settings, audience: AudienceKey, on_other_row: Callable[[ReadRecord], None] = lambda _: None
) -> Iterator[tuple[str, bool | None]]:
    """Yield (profile id, whether it is realized in the audience), a row of the changelog after the other.

    The last row of a profile counts. None instead of whether: the profile does not exist any more. A row that stands
    elsewhere than its key belongs is passed over: what a command writes does not reach it (I12). `on_other_row` gets
    every record that is no profile's row. Raises as `read_topic` does, and UnreadableRow.
    """
    namespace, audience_id = audience
    mentioned = audience_id.encode()
    for record in read_topic(settings, settings.topics.changelog):
        if record.key is None or not record.key.startswith(PROFILE):
            on_other_row(record)
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
