"""The store behind the Faust table `profiles` (scheme `profiles://`): this worker's partitions, read only to Faust.

Rows are written by the pipeline, in the durability order; a write through the table would go to RocksDB before the
changelog and is refused.

It leans on `faust.stores.base.SerializedStore` of Faust 0.15.3: the abstract `_get` … `_clear`, `persisted_offset`,
`reset_state`.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from faust.stores.base import SerializedStore
from faust.types import TP

from schemas.wire.profiles_changelog import profile_key
from state.partition import PartitionStore


class ProfilesAreReadOnly(TypeError):
    """Somebody wrote through the table."""

    def __init__(self) -> None:
        super().__init__("the table `profiles` is read only: its rows are written by the pipeline, after the changelog")


class ProfilesStore(SerializedStore[bytes, bytes]):
    """Partitions come by `attach` and go by `detach`; the worker calls both. Keys are profile ids, values rows."""

    def __init__(self, url: Any, app: Any, table: Any, **options: Any) -> None:
        super().__init__(url, app, table, **options)
        self.partitions: dict[int, PartitionStore] = {}

    def attach(self, partition: int, store: PartitionStore) -> None:
        """Show a partition that was taken over."""
        self.partitions[partition] = store

    def detach(self, partitions: Iterable[int]) -> None:
        """Close partitions, where they are here."""
        for partition in partitions:
            store = self.partitions.pop(partition, None)
            if store is not None:
                store.close()

    def persisted_offset(self, tp: TP) -> int | None:
        """The last changelog offset in the local copy."""
        store = self.partitions.get(tp.partition)
        return store.changelog_next_offset - 1 if store is not None and store.changelog_next_offset else None

    async def backup_partition(self, tp: Any, flush: bool = True, purge: bool = False, keep: int = 1) -> None:
        """Not supported: the changelog is the backup."""
        raise NotImplementedError("the changelog is the backup of the table")

    def restore_backup(self, tp: Any, latest: bool = True, backup_id: int = 0) -> None:
        """Not supported, as `backup_partition`."""
        raise NotImplementedError("the changelog is the backup of the table")

    def reset_state(self) -> None:
        """`faust reset`: refused; it would remove rows under a running worker's feet."""
        raise ProfilesAreReadOnly

    def _get(self, key: bytes) -> bytes | None:
        for store in self.partitions.values():
            value = store.get_many([profile_key(key)])[0]
            if value is not None:
                return value
        return None

    def _iteritems(self) -> Iterator[tuple[bytes, bytes]]:
        for store in list(self.partitions.values()):
            yield from store.scan()

    def _iterkeys(self) -> Iterator[bytes]:
        return (key for key, _ in self._iteritems())

    def _itervalues(self) -> Iterator[bytes]:
        return (value for _, value in self._iteritems())

    def _size(self) -> int:
        return sum(store.row_count() for store in self.partitions.values())

    def _contains(self, key: bytes) -> bool:
        return self._get(key) is not None

    def _set(self, key: bytes, value: bytes | None) -> NoReturn:  # noqa: ARG002  # Faust's signature, as below
        raise ProfilesAreReadOnly

    def _del(self, key: bytes) -> NoReturn:  # noqa: ARG002
        raise ProfilesAreReadOnly

    def _clear(self) -> NoReturn:
        raise ProfilesAreReadOnly
