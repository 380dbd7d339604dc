"""Objects of the control API as records of the compacted topic `connections`; a tombstone removes one.

key    ["<kind>","<id>"]                       value  schemas/connection.py, StoredObject
key    ["writer"]                              value  {"writer": "<id>", "since": milliseconds}: the API that writes, the newest one
key    ["accepted"]                            value  {"<topic>": offset}: what an operator knows to be gone below these (ACCEPT_GAPS)
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson
from pydantic import ValidationError

from schemas.connection import AnyObject, Connection, FlowLink, Kind, SourceConnection, StoredObject, TargetConnection
from schemas.model import STORED
from schemas.wire.catalog import BadCatalogRecord, without_input

WRITER_KEY: Final = b'["writer"]'
ACCEPTED_KEY: Final = b'["accepted"]'
MODELS: Final[dict[Kind, type[Connection | SourceConnection | TargetConnection | FlowLink]]] = {
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
    """The key of an object."""
    return orjson.dumps([kind, object_id])


def object_value(stored: StoredObject) -> bytes:
    """The value of an object."""
    return stored.model_dump_json(by_alias=True).encode()


def plain_object(item: AnyObject) -> dict[str, Any]:
    """As it stands in StoredObject."""
    return item.model_dump(mode="json", by_alias=True, exclude_none=True)


def read_object(key: bytes, value: bytes) -> StoredRecord:
    """The object of a record; raises BadCatalogRecord."""
    try:
        stored = StoredObject.model_validate_json(value)
        item = MODELS[stored.kind].model_validate_json(orjson.dumps(stored.object), context=STORED)
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise BadCatalogRecord(f"connections {key.decode(errors='replace')}: {without_input(error)}") from None
    if object_key(stored.kind, stored.id) != key:
        raise BadCatalogRecord(f"connections {key.decode(errors='replace')}: the key is not the object's")
    return StoredRecord(stored, item)


def writer_value(writer: str, since: int) -> bytes:
    """The value of the record that claims the topics for one API."""
    return orjson.dumps({"writer": writer, "since": since})


def read_writer(value: bytes) -> str:
    """Who claims them; raises BadCatalogRecord."""
    try:
        return str(orjson.loads(value)["writer"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise BadCatalogRecord("connections: the record of who writes cannot be read") from None


def accepted_value(begins: Mapping[Any, int]) -> bytes:
    """The value of the record that says what is known to be gone, by topic."""
    return orjson.dumps({str(topic): begin for topic, begin in begins.items()})


def read_accepted(value: bytes) -> dict[str, int]:
    """The same, read; raises BadCatalogRecord."""
    try:
        return {str(topic): int(begin) for topic, begin in orjson.loads(value).items()}
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
        raise BadCatalogRecord("connections: the record of what is known to be gone cannot be read") from None
