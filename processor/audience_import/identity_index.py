"""The index of identities as the changelog has it, read record by record; what it says of itself tells whether it is
whole.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from processor.foundation.settings import env_name
from schemas.kafka import ReadRecord
from schemas.wire.identity_index import (
    IDENTITY,
    INDEX_KEY,
    IndexProgress,
    IndexState,
    decode_identity_key,
    decode_namespace,
    decode_progress,
)
from schemas.wire.profiles_changelog import WATERMARK_KEY, Watermark, decode_watermark

SETTING: Final = env_name("identity_index")
_SHOWN_PARTITIONS: Final = 5


class IdentityChange(NamedTuple):
    """A profile has an identity, or has it no more (`namespace` None).

    The identity is told by its bytes (schemas/wire/identity_index.py).
    """

    partition: int
    id_hash: bytes
    namespace_hash: bytes
    profile_id: str
    namespace: str | None


@dataclass(slots=True)
class _Partition:
    """What the last rows said."""

    watermark: Watermark | None = None
    progress: IndexProgress | None = None

    @property
    def is_kept(self) -> bool:
        """Whether the last commit was of a worker that keeps the index."""
        if self.progress is None or self.watermark is None or self.progress.state is IndexState.REMOVING:
            return False
        return self.progress.next_offset >= self.watermark.next_offset

    @property
    def is_whole(self) -> bool:
        """Whether the rows are all there is."""
        return self.is_kept and self.progress is not None and self.progress.state is IndexState.COMPLETE


class IdentityRows:
    """Give it every record of the changelog, in the order of each partition."""

    def __init__(self) -> None:
        self._partitions: dict[int, _Partition] = {}

    def note(self, record: ReadRecord) -> IdentityChange | None:
        """What a record says of an identity; None: nothing. Raises UnreadableRow."""
        key, value = record.key, record.value
        if key is None:
            return None
        if key.startswith(IDENTITY):
            row = decode_identity_key(key)
            namespace = None if value is None else decode_namespace(value)
            return IdentityChange(record.partition, row.id_hash, row.namespace_hash, row.profile_id.decode(), namespace)
        partition = self._partitions.setdefault(record.partition, _Partition())
        if key == WATERMARK_KEY:
            partition.watermark = None if value is None else decode_watermark(value)
        elif key == INDEX_KEY:
            partition.progress = decode_progress(value)
        return None

    def why_incomplete(self) -> str | None:
        """What is wrong with the index, and the remedy; None: it is whole.

        A partition that no worker ever had has no profiles.
        """
        begun = {
            number: each
            for number, each in sorted(self._partitions.items())
            if each.watermark is not None or each.progress is not None
        }
        without = [number for number, each in begun.items() if not each.is_kept]
        if without:
            return (
                f"{_named(without)}: no index of identities; the workers run with {SETTING}=false there, or are of an"
                f" older version\n  set {SETTING}=true for every worker: they build the index by themselves; or name"
                " the members by profileId"
            )
        building = {number: each for number, each in begun.items() if not each.is_whole}
        if building:
            seen = sum(each.progress.seen for each in building.values() if each.progress is not None)
            total = sum(each.watermark.profiles for each in building.values() if each.watermark is not None)
            return (
                f"{_named(list(building))}: the index of identities is being built, {seen} of {total} profiles were"
                " looked at\n  try again in a minute; workers must run for it"
            )
        return None


def _named(partitions: list[int]) -> str:
    shown = ", ".join(map(str, partitions[:_SHOWN_PARTITIONS])) + (", …" if len(partitions) > _SHOWN_PARTITIONS else "")
    return f"partition{'s' if len(partitions) > 1 else ''} {shown}"
