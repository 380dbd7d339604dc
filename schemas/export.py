"""Export records: as a flow sends them, and as they are read from `exports` on their way to Kinesis."""

from typing import NamedTuple

from schemas.kafka import ConsumerRecord


class ExportRecord(NamedTuple):
    """The export record that one flow sends for one profile after one event (contract sections 3 and 4).

    `id` is `<topic>-<partition>-<offset>-<flow id>` (D3). `data` is the record as JSON without any envelope; `value` is
    what leaves: `data`, or its CloudEvents envelope (D2), with a line feed where the flow wants one (G10). `time` is
    the event's, in the form of C8. `causes` are sorted by code point (A13). `partition_key` is Kinesis', 1 to 256
    characters (G5).
    """

    id: str
    flow_id: str
    flow_etag: str
    key: str
    time: str
    version: int
    causes: tuple[str, ...]
    data: bytes
    value: bytes
    partition_key: str


class Export(NamedTuple):
    """A record of `exports` as read, ready to leave.

    Its lane is (`record.key`, `flow_id`), whatever the partition key (contract G3).

    `partition_key` and `explicit_hash_key` are Kinesis'; `size_bytes` is what AWS counts: data and partition key, as
    UTF-8; `held_bytes` what the record holds in memory: key, value and headers.
    """

    record: ConsumerRecord
    flow_id: str
    value: bytes
    partition_key: str
    explicit_hash_key: str | None
    size_bytes: int
    held_bytes: int
