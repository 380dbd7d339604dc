"""The sink of a worker, put together: where flows go by the catalog, dead letters to their topic, Kinesis through
boto3.
"""

from collections.abc import Callable, Sequence
from uuid import uuid4

from processor.catalog.follower import CatalogFollower
from processor.delivery.kinesis.client import stream_opener
from processor.delivery.ports import ParkedPlaces, Undelivered
from processor.delivery.sink import Sink
from processor.foundation.settings import Settings
from processor.kafka.producers import AsyncWriter
from processor.worker.adapters.exports_reader import History, ParkedExports
from processor.worker.adapters.parked_rows import DeliveryPositions
from processor.worker.delivery_settings import delivery_limits, kinesis_options
from schemas.destination import Destination
from schemas.kafka import ProducerRecord


class CatalogDestinations:
    """`delivery.ports.Destinations` by the catalog as it stands now."""

    def __init__(self, catalog: CatalogFollower) -> None:
        self._catalog = catalog

    def destination(self, flow_id: str) -> Destination | None:
        """Also of a disabled flow; None where there is no such flow."""
        flow = self._catalog.catalog.flow(flow_id)
        return flow.destination if flow is not None else None


class TopicDeadLetters:
    """`delivery.ports.DeadLetters` on the topic `dead-letters`, each in the partition of its export record."""

    def __init__(self, producer: AsyncWriter, topic: str) -> None:
        self._producer, self._topic = producer, topic

    async def put(self, letters: Sequence[Undelivered]) -> None:
        """Raises NotWritten where one was not acknowledged, RecordTooLarge where the topic does not take one; some may
        be there then.
        """
        records: dict[int, list[ProducerRecord]] = {}
        for letter, headers in letters:
            records.setdefault(letter.partition, []).append(ProducerRecord(letter.key, letter.value, list(headers)))
        await self._producer.write_dead_letters(self._topic, records)


def open_sink(
    settings: Settings,
    catalog: CatalogFollower,
    producer: AsyncWriter,
    history: History,
    on_progress: Callable[[int, int], None],
    may_send: Callable[[], bool],
) -> Sink:
    """The worker's sink; nothing is opened before records come.

    The producer is the caller's; `may_send` is asked in any thread.
    """
    return Sink(
        destinations=CatalogDestinations(catalog),
        open_stream=stream_opener(kinesis_options(settings), may_send=may_send),
        dead_letters=TopicDeadLetters(producer, settings.topics.dead_letters),
        parked=ParkedPlaces(
            DeliveryPositions(settings, producer), ParkedExports(settings, history), lambda: uuid4().hex
        ),
        limits=delivery_limits(settings),
        on_progress=on_progress,
        may_send=may_send,
    )
