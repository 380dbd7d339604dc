"""Kinesis' partition key of a record: 1 to 256 characters (contract G5)."""

from hashlib import sha256
from typing import Any, Final

import orjson

from processor.core.catalog import PartitionKey
from processor.core.changes import value_at
from schemas.profile import Document

MAX_CHARACTERS: Final = 256  # AWS, PutRecordsRequestEntry.PartitionKey


def partition_key(wanted: PartitionKey, profile_id: str, document: Document) -> str:
    """The value the flow asks for; the profile id where it is absent, empty or not a scalar. Too long: its SHA-256, in hex."""
    text = _identity(wanted.namespace, document) if wanted.namespace is not None else _attribute(wanted, document)
    key = text or profile_id
    return key if len(key) <= MAX_CHARACTERS else sha256(key.encode()).hexdigest()


def _identity(namespace: str, document: Document) -> str | None:
    """The first identity of the namespace that is primary, else its first."""
    identities: list[dict[str, Any]] = document.get("identityMap", {}).get(namespace) or []
    chosen = next((item for item in identities if item.get("primary") is True), identities[0] if identities else None)
    return chosen["id"] if chosen is not None else None


def _attribute(wanted: PartitionKey, document: Document) -> str | None:
    if wanted.path is None:
        return None
    value = value_at(document, wanted.path)
    if type(value) is str:
        return value
    return orjson.dumps(value).decode() if type(value) in (int, float, bool) else None
