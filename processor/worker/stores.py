"""The local copies of a worker's partitions: opened, restored from the changelog, and closed."""

from collections.abc import Callable, Iterable, Mapping

import structlog

from processor.foundation.fault_points import fault_point
from processor.foundation.settings import Settings
from processor.kafka.connection import aiokafka_options
from processor.worker.environment import WorkerEnvironment
from processor.worker.start_positions import TopicIsAnother
from processor.worker.waits import Waits
from state.changelog import OpenConsumer
from state.damage import wipe
from state.faust_store import ProfilesStore
from state.identity import Identity
from state.partition import PartitionStore
from state.restore import Changelog, RestoreProgress, StaleCopies, restore
from state.store_options import Memory, shared_memory

_log = structlog.get_logger(__name__)


class Stores:
    """The copies that are open stand in Faust's store, by partition; a copy that does not fit is wiped.

    `restoring` tells how far the last restore is, or was, by partition.
    """

    def __init__(
        self,
        settings: Settings,
        environment: WorkerEnvironment,
        opened: ProfilesStore,
        open_consumer: OpenConsumer,
        waits: Waits,
    ) -> None:
        self._settings, self._environment, self._opened = settings, environment, opened
        self._open_consumer, self._waits = open_consumer, waits
        self._memory: Memory = shared_memory(
            settings.block_cache_bytes, settings.write_buffer_bytes, settings.partitions
        )
        self.restoring: Mapping[int, RestoreProgress] = {}

    @property
    def partitions(self) -> Mapping[int, PartitionStore]:
        """The copies that are open, by partition; others may be opened and closed meanwhile."""
        return self._opened.partitions

    @property
    def sizes(self) -> dict[int, tuple[int, int]]:
        """(profiles, bytes) of each partition."""
        return {partition: (store.row_count(), store.size_bytes()) for partition, store in self.partitions.items()}

    def close(self, partitions: Iterable[int]) -> None:
        """Close copies, where they are open."""
        self._opened.detach(partitions)

    def close_all(self) -> None:
        """Close every copy that is open."""
        self.close(list(self.partitions))

    async def restore(self, partitions: Iterable[int], on_begin: Callable[[], None]) -> list[int]:
        """Open copies, and bring them to the changelog's end; the partitions are fenced already.

        Return the partitions whose last commit the broker acknowledged and still shows as open. `on_begin` is called
        when there is something to read. Raises what `state.restore` raises, TopicIsAnother.
        """
        stores = {partition: self._open(partition) for partition in partitions}
        for partition, store in stores.items():
            self._opened.attach(partition, store)
        with self._waits.on(f"the restore of partitions {', '.join(map(str, stores))}"):
            await self._restore_or_wipe(stores, on_begin)
        _log.info("restored", records={partition: part.records for partition, part in self.restoring.items()})
        self._refuse_another_source()
        return [partition for partition in stores if not self.restoring[partition].is_shown]

    async def _restore_or_wipe(self, stores: Mapping[int, PartitionStore], on_begin: Callable[[], None]) -> None:
        try:
            self.restoring = await self._read_changelog(stores, on_begin)
        except StaleCopies as stale:
            for partition, reason in stale.partitions.items():
                _log.warning("local_state_wiped", partition=partition, reason=reason)
                self.close([partition])
                wipe(self._environment.directory.partition(partition))
                self._opened.attach(partition, self._open(partition))
            self.restoring = await self._read_changelog(dict(self.partitions), on_begin)

    async def _read_changelog(
        self, stores: Mapping[int, PartitionStore], on_begin: Callable[[], None]
    ) -> dict[int, RestoreProgress]:
        def note(progress: Mapping[int, RestoreProgress]) -> None:
            if self.restoring is not progress:
                on_begin()
            self.restoring = progress
            _log.info("restoring", left={partition: part.left for partition, part in progress.items()})

        return await restore(
            stores,
            Changelog(self._settings.topics.changelog, self._environment.cluster.tombstone_seconds),
            aiokafka_options(self._settings),
            note,
            self._open_consumer,
            self._waits.on,
            lambda: fault_point("restoring"),
        )

    def _refuse_another_source(self) -> None:
        topic = self._settings.topics.profile_events
        found = self._environment.cluster.topic_ids.get(topic)
        for partition, store in self.partitions.items():
            known = store.source_position.source_topic_id if store.source_position is not None else None
            if known is not None and found is not None and known != found:
                raise TopicIsAnother(topic, partition, known, found)

    def _open(self, partition: int) -> PartitionStore:
        settings, cluster = self._settings, self._environment.cluster
        changelog = settings.topics.changelog
        identity = Identity(
            cluster.cluster_id,
            settings.app_id,
            changelog,
            cluster.topic_ids.get(changelog),
            partition,
            settings.partitions,
        )
        return PartitionStore.open(self._environment.directory.partition(partition), identity, self._memory)
