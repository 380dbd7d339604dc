"""Read the index of identities from the changelog, record by record, with what shows whether it is whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from processor.foundation.settings_environment import env_name
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
from schemas.wire.profiles_changelog import SOURCE_POSITION_KEY, SourcePosition, decode_source_position

SETTING: Final = env_name("identity_index")
_SHOWN_PARTITIONS: Final = 5


class IdentityChange(NamedTuple):
    """A change of the index: a profile has an identity, or has it no more (`namespace` None).

    The identity is given by its hashes (schemas/wire/identity_index.py).
    """

    partition: int
    id_hash: bytes
    namespace_hash: bytes
    profile_id: str
    namespace: str | None


@dataclass(slots=True)
class _Partition:
    """The last rows of a partition about its index."""

    source_position: SourcePosition | None = None
    progress: IndexProgress | None = None

    @property
    def is_kept(self) -> bool:
        """Return whether the last commit was of a worker that keeps the index."""
        if self.progress is None or self.source_position is None or self.progress.state is IndexState.REMOVING:
            return False
        return self.progress.next_offset >= self.source_position.next_offset

    @property
    def is_whole(self) -> bool:
        """Return whether the index has all identities of the partition."""
        return self.is_kept and self.progress is not None and self.progress.state is IndexState.COMPLETE


class IdentityRows:
    """The index of identities by every record of the changelog, in the order of each partition."""

    def __init__(self) -> None:
        self._partitions: dict[int, _Partition] = {}

    def read_record(self, record: ReadRecord) -> IdentityChange | None:
        """Return the change of an identity that a record holds; None: it holds none. Raises UnreadableRow."""
        key, value = record.key, record.value
        if key is None:
            return None
        if key.startswith(IDENTITY):
            row = decode_identity_key(key)
            namespace = None if value is None else decode_namespace(value)
            return IdentityChange(record.partition, row.id_hash, row.namespace_hash, row.profile_id.decode(), namespace)
        partition = self._partitions.setdefault(record.partition, _Partition())
        if key == SOURCE_POSITION_KEY:
            partition.source_position = None if value is None else decode_source_position(value)
        elif key == INDEX_KEY:
            partition.progress = decode_progress(value)
        return None

    def why_incomplete(self) -> str | None:
        """Explain what is missing in the index, with the remedy; None: it is whole.

        A partition that no worker ever had has no profiles.
        """
        begun = {
            number: each
            for number, each in sorted(self._partitions.items())
            if each.source_position is not None or each.progress is not None
        }
        if without := [number for number, each in begun.items() if not each.is_kept]:
            return _explain_missing(without)
        building = {number: each for number, each in begun.items() if not each.is_whole}
        return _explain_building(building) if building else None


def _explain_missing(partitions: list[int]) -> str:
    return (
        f"{_named(partitions)}: no index of identities; the workers run with {SETTING}=false there, or are of an"
        f" older version\n  set {SETTING}=true for every worker: they build the index by themselves; or name"
        " the members by profileId"
    )


def _explain_building(building: Mapping[int, _Partition]) -> str:
    seen = sum(each.progress.seen for each in building.values() if each.progress is not None)
    total = sum(each.source_position.profiles for each in building.values() if each.source_position is not None)
    return (
        f"{_named(list(building))}: the index of identities is being built, {seen} of {total} profiles were"
        " looked at\n  try again in a minute; workers must run for it"
    )


def _named(partitions: list[int]) -> str:
    shown = ", ".join(map(str, partitions[:_SHOWN_PARTITIONS])) + (", …" if len(partitions) > _SHOWN_PARTITIONS else "")
    return f"partition{'s' if len(partitions) > 1 else ''} {shown}"
