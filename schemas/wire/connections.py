"""The compacted topic `connections`: objects of the control API, and who writes; a tombstone removes one.

key    ["<kind>","<id>"]   value  schemas/connection.py, StoredObject
key    ["writer"]          value  {"writer": "<id>", "since": milliseconds}: the API that writes, the newest one
key    ["accepted"]        value  {"<topic>": offset}: what an operator knows to be gone below these (ACCEPT_GAPS)
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson
from pydantic import ValidationError

from schemas.connection import AnyObject, Connection, FlowLink, Kind, SourceConnection, StoredObject, TargetConnection
from schemas.kafka import BadRecord, ProducerRecord
from schemas.model import STORED, describe_record_fault

WRITER_KEY: Final = b'["writer"]'
ACCEPTED_KEY: Final = b'["accepted"]'
_MODELS: Final[dict[Kind, type[Connection | SourceConnection | TargetConnection | FlowLink]]] = {
    Kind.CONNECTION: Connection,
    Kind.SOURCE_CONNECTION: SourceConnection,
    Kind.TARGET_CONNECTION: TargetConnection,
    Kind.FLOW: FlowLink,
}


class StoredRecord(NamedTuple):
    """An object as stored, and read."""

    stored: StoredObject
    item: AnyObject


def object_key(kind: Kind, object_id: str) -> bytes:
    """Return the key of an object."""
    return orjson.dumps([kind, object_id])


def decode_object_key(key: bytes) -> tuple[str, str]:
    """Return kind and id of an object's key; raise BadRecord."""
    try:
        kind, object_id = orjson.loads(key)
    except (orjson.JSONDecodeError, TypeError, ValueError):
        raise BadRecord(f"the key {key.decode(errors='replace')} is no pair of texts") from None
    return str(kind), str(object_id)


def encode_object(stored: StoredObject) -> ProducerRecord:
    """Return the record of an object."""
    return ProducerRecord(object_key(stored.kind, stored.id), stored.model_dump_json(by_alias=True).encode())


def decode_object(key: bytes, value: bytes) -> StoredRecord:
    """Return the object of a record; raise BadRecord."""
    try:
        stored = StoredObject.model_validate_json(value)
        item = _MODELS[stored.kind].model_validate_json(orjson.dumps(stored.object), context=STORED)
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise BadRecord(f"connections {key.decode(errors='replace')}: {describe_record_fault(error)}") from None
    if object_key(stored.kind, stored.id) != key:
        raise BadRecord(f"connections {key.decode(errors='replace')}: the key is not the object's")
    return StoredRecord(stored, item)


def encode_writer(writer: str, since: int) -> ProducerRecord:
    """Return the record that claims the control plane's topics for one API, from `since` on (milliseconds)."""
    return ProducerRecord(WRITER_KEY, orjson.dumps({"writer": writer, "since": since}))


def decode_writer(value: bytes) -> str:
    """Return which API claims the topics; raise BadRecord."""
    try:
        return str(orjson.loads(value)["writer"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise BadRecord("connections: the record of who writes cannot be read") from None


def encode_accepted(log_starts: Mapping[Any, int]) -> ProducerRecord:
    """Return the record that says what is known to be gone: everything below an offset, by topic."""
    return ProducerRecord(ACCEPTED_KEY, orjson.dumps({str(topic): start for topic, start in log_starts.items()}))


def decode_accepted(value: bytes) -> dict[str, int]:
    """Return below which offset records are known to be gone, by topic; raise BadRecord."""
    try:
        return {str(topic): int(start) for topic, start in orjson.loads(value).items()}
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
        raise BadRecord("connections: the record of what is known to be gone cannot be read") from None
