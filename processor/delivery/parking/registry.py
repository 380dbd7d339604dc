"""Flows that are parked now, by partition and flow."""

from collections.abc import Collection, Iterator

from processor.delivery.lanes.progress import PartitionProgress, Progress
from processor.delivery.parking.parked_flow import ParkedFlow


class Registry:
    """The parked flows of the partitions of `exports` that are open."""

    def __init__(self) -> None:
        self._parked: dict[tuple[int, str], ParkedFlow] = {}

    def __iter__(self) -> Iterator[ParkedFlow]:
        """Yield all of them, also while some come or go."""
        return iter(list(self._parked.values()))

    def get(self, partition: int, flow_id: str) -> ParkedFlow | None:
        """Return the flow as it is parked in a partition, None where it is not."""
        return self._parked.get((partition, flow_id))

    def add(self, parked: ParkedFlow, live: PartitionProgress) -> None:
        """Have `live`, its partition, skip the flow's records from now on."""
        self._parked[parked.partition, parked.flow_id] = live.skipped[parked.flow_id] = parked

    def remove(self, parked: ParkedFlow) -> None:
        """Forget a parked flow."""
        if self._parked.get((parked.partition, parked.flow_id)) is parked:
            del self._parked[parked.partition, parked.flow_id]

    def of_partitions(self, partitions: Collection[Progress]) -> list[ParkedFlow]:
        """Return the flows that are parked in these partitions."""
        numbers = {progress.partition for progress in partitions}
        return [parked for (partition, _), parked in self._parked.items() if partition in numbers]

    def of_flow(self, flow_id: str) -> list[ParkedFlow]:
        """Return a flow as it is parked in each partition where it is."""
        return [parked for (_, parked_id), parked in self._parked.items() if parked_id == flow_id]

    def is_behind(self, flow_id: str | None = None) -> bool:
        """Return whether the flow, or any, has records that are not in memory."""
        return any(parked.until is None for parked in (self if flow_id is None else self.of_flow(flow_id)))
