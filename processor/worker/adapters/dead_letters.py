"""Export records that are not delivered, on the topic `dead-letters`: the port `delivery.ports.DeadLetters`."""

from collections.abc import Sequence

from processor.delivery.ports import ExportDeadLetter
from processor.kafka.producers import AsyncWriter
from schemas.kafka import ProducerRecord
from schemas.wire.dead_letters import encode_dead_letter


class TopicDeadLetters:
    """`delivery.ports.DeadLetters` on the topic `dead-letters`, each in the partition of its export record."""

    def __init__(self, producer: AsyncWriter, topic: str) -> None:
        self._producer, self._topic = producer, topic

    async def put(self, letters: Sequence[ExportDeadLetter]) -> None:
        """Write dead letters; return when all are acknowledged.

        Raises NotWritten where one was not, RecordTooLarge where the topic does not take one; some may be there then.
        """
        records: dict[int, list[ProducerRecord]] = {}
        for letter, headers, attempts in letters:
            record = encode_dead_letter(letter, headers, attempts=attempts)
            records.setdefault(letter.partition, []).append(record)
        await self._producer.write_dead_letters(self._topic, records)
