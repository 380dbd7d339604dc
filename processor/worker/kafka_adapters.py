"""What a worker's runtime talks to Kafka through.

`kafka_adapters` builds the real ones; a test brings its own, in memory.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from processor.catalog.follower import CatalogFollower
from processor.foundation.settings import ProcessingGuarantee, Settings
from processor.kafka.limits import TopicLimits
from processor.kafka.producers import SharedProducer
from processor.pipeline.ports import PartitionLog
from processor.worker.adapters.origins import explain_refusal
from processor.worker.adapters.parked_rows import Rows, read_positions
from processor.worker.adapters.partition_log import Destinations, PlainLog, TransactionalLog
from processor.worker.waits import CATALOG, Waits
from state.changelog import OpenConsumer, kafka_consumer


@dataclass(frozen=True, slots=True)
class Adapters:
    """The catalog, the producer that all partitions share, a log for each partition, and the readers of a takeover."""

    catalog: CatalogFollower
    producer: SharedProducer
    new_log: Callable[[int], PartitionLog]
    open_consumer: OpenConsumer
    read_positions: Callable[[Collection[int]], Awaitable[Mapping[int, Rows]]]


def kafka_adapters(
    settings: Settings, limits: Mapping[str, TopicLimits], on_failure: Callable[[BaseException], None], waits: Waits
) -> Adapters:
    """Build the adapters to the broker that `settings` name, whose topics have `limits`; nothing is opened.

    `on_failure` is called with what ended the catalog.
    """
    producer = SharedProducer(settings, partial(explain_refusal, settings.topics.profile_events))
    return Adapters(
        CatalogFollower(settings, on_failure, partial(waits.on, CATALOG)),
        producer,
        partial(_new_log, settings, limits, producer),
        kafka_consumer,
        partial(read_positions, settings),
    )


def _new_log(
    settings: Settings, limits: Mapping[str, TopicLimits], producer: SharedProducer, partition: int
) -> PartitionLog:
    names = settings.topics
    topics = Destinations(
        names.exports, names.dead_letters, names.changelog, names.profile_events, names.job_progress, limits
    )
    if settings.processing_guarantee is ProcessingGuarantee.EXACTLY_ONCE:
        return TransactionalLog(settings, topics, names.profile_events, partition)
    return PlainLog(producer, topics, partition)
