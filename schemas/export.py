"""What leaves: the export record, and the headers it carries on the `exports` topic."""

from typing import Final, NamedTuple


class ExportRecord(NamedTuple):
    """What one flow sends for one profile after one event (contract sections 3 and 4).

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


class ExportHeader:
    """Names of the headers of a record on `exports`; values are UTF-8 text, numbers decimal."""

    RECORD_ID: Final = "record-id"
    FLOW_ID: Final = "flow-id"
    FLOW_ETAG: Final = "flow-etag"
    PROFILE_VERSION: Final = "profile-version"
    SOURCE_TOPIC: Final = "source-topic"
    SOURCE_PARTITION: Final = "source-partition"
    SOURCE_OFFSET: Final = "source-offset"
    EVENT_TIME: Final = "event-time"
    CAUSES: Final = "causes"
    PARTITION_KEY: Final = "partition-key"
    EXPLICIT_HASH_KEY: Final = "explicit-hash-key"  # optional (contract G5)
    DECIDED_AT: Final = "decided-at"  # milliseconds since 1970; records of before lack it
    TRACEPARENT: Final = "traceparent"  # W3C Trace Context, as the event has it; optional, as the next
    TRACESTATE: Final = "tracestate"
