"""Kinesis' partition key of a record: 1 to 256 characters (contract G5)."""

from hashlib import sha256
from typing import Final

import orjson

from processor.core.catalog import PartitionKey
from processor.core.changes import find_value
from schemas.paths import Path
from schemas.profile import Profile

MAX_CHARACTERS: Final = 256  # AWS, PutRecordsRequestEntry.PartitionKey


def partition_key(wanted: PartitionKey, profile_id: str, profile: Profile) -> str:
    """Return the value the flow asks for; the profile id where it is absent, empty or not a scalar. Home of G5.

    Too long: its SHA-256, in hex.
    """
    text = _identity(wanted.namespace, profile) if wanted.namespace is not None else _attribute(wanted.path, profile)
    key = text or profile_id
    return key if len(key) <= MAX_CHARACTERS else sha256(key.encode()).hexdigest()


def _identity(namespace: str, profile: Profile) -> str | None:
    """Return the first identity of the namespace that is primary, else its first."""
    identities = profile.identities.get(namespace)
    if identities is None:
        return None
    chosen: str = next((item for item in identities if item.get("primary") is True), identities[0])["id"]
    return chosen


def _attribute(path: Path | None, profile: Profile) -> str | None:
    if path is None:
        return None
    value = find_value(profile.attributes, path)
    if type(value) is str:
        return value
    return orjson.dumps(value).decode() if type(value) in (int, float, bool) else None
