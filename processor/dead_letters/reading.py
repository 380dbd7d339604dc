"""The topic `dead-letters`, read for what somebody selects of it."""

from collections.abc import Callable, Iterator

from processor.dead_letters.selection import Selection
from processor.foundation.settings import Settings
from processor.kafka.reading import read_topic
from schemas.dead_letter import StoredDeadLetter
from schemas.kafka import BadRecord
from schemas.wire.dead_letters import decode_dead_letter


def read_dead_letters(
    settings: Settings, selected: Selection, on_problem: Callable[[str], None]
) -> Iterator[StoredDeadLetter]:
    """Yield the selected dead letters that are there now, in the order of each partition.

    `on_problem` is told of what is no dead letter of ours. Raises as `read_topic` does.
    """
    for record in read_topic(settings, settings.topics.dead_letters, selected.partitions):
        try:
            letter = decode_dead_letter(record)
        except BadRecord as bad:
            on_problem(str(bad))
            continue
        if letter in selected:
            yield letter
