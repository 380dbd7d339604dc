"""The same rules without Kafka (contract 4b): a loop over `step` that keeps the profiles in memory."""

from processor.core.catalog import Catalog
from processor.core.step import EventSkip, Limits, Step, step
from schemas.event import SourceRecord
from schemas.profile import Profile


class Replay:
    """The state of one replay: profiles by key, and the highest offset seen in each partition.

    It is the reference for what the worker sends. `catalog` may be exchanged between two records, as a worker's changes
    between two batches.
    """

    def __init__(self, catalog: Catalog, limits: Limits | None = None) -> None:
        self.catalog = catalog
        self._limits = limits or Limits()
        self.profiles: dict[bytes, Profile] = {}
        self._offsets: dict[tuple[str, int], int] = {}

    def feed(self, record: SourceRecord) -> Step:
        """Apply one record; an offset at or below the highest one of its partition is skipped unread (I5)."""
        source = (record.topic, record.partition)
        key = record.key or b""
        profile = self.profiles.get(key)
        if record.offset <= self._offsets.get(source, -1):
            return Step(profile, skipped_event=EventSkip.ALREADY_APPLIED)
        self._offsets[source] = record.offset
        result = step(profile, record, self.catalog, self._limits)
        if result.profile is not None:
            self.profiles[key] = result.profile
        else:
            self.profiles.pop(key, None)
        return result
