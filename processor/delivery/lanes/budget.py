"""Budgets of memory, in all and of each flow: one for what partitions bring, one for what is read again."""

from dataclasses import dataclass


@dataclass(slots=True)
class Usage:
    """Records in memory, and the bytes that they hold."""

    records: int = 0
    size_bytes: int = 0


class Budget:
    """Records in memory, counted when they come and when they are finished; bounded by whoever reads them."""

    __slots__ = ("_flows", "max_bytes", "max_records", "records", "size_bytes")

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self.max_records = max_records
        self.max_bytes = max_bytes
        self.records = 0
        self.size_bytes = 0
        self._flows: dict[str, Usage] = {}

    def add(self, flow_id: str, size_bytes: int) -> None:
        """Count one more record of a flow."""
        self.records += 1
        self.size_bytes += size_bytes
        usage = self._flows.get(flow_id)
        if usage is None:
            usage = self._flows[flow_id] = Usage()
        usage.records += 1
        usage.size_bytes += size_bytes

    def remove(self, flow_id: str, size_bytes: int) -> None:
        """Count one record of a flow less."""
        self.records -= 1
        self.size_bytes -= size_bytes
        usage = self._flows[flow_id]
        usage.records -= 1
        usage.size_bytes -= size_bytes

    def of_flow(self, flow_id: str) -> Usage:
        """Return what the records of one flow hold."""
        return self._flows.get(flow_id) or Usage()

    def forget_flow(self, flow_id: str) -> None:
        """Keep nothing of a flow that has no record in memory."""
        self._flows.pop(flow_id, None)

    def has_room(self) -> bool:
        """Return whether one more record may come."""
        return self.records < self.max_records and self.size_bytes < self.max_bytes

    def is_half_full(self) -> bool:
        """Return whether records hold half of it, by number or by bytes."""
        return 2 * self.records >= self.max_records or 2 * self.size_bytes >= self.max_bytes
