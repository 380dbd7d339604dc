"""Keys and values of the index of identities, which says which profiles have an identity (namespace, id).

    b"i" + 16 bytes of the id + 8 bytes of the namespace + profile id
                this profile has this identity; the value is its namespace
    b"I"        how far the index of this partition is: IndexProgress as JSON

One row a pair of identity and profile: several profiles may have one identity, and an event writes only what it
changes. The bytes are BLAKE2b, so a row is bounded, however long an id is. The id stands first and the namespace is the
value: who looks for an id finds it in every namespace, also in one of another case.

The index is what the profiles say, and can be made from them again. It is whole while the progress is COMPLETE and its
`next_offset` is not below the source position's: every commit of a worker that keeps the index writes both, and a
worker that does not, writes the source position alone.
"""

from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

import orjson

IDENTITY: Final = b"i"
INDEX_KEY: Final = b"I"
ID_BYTES: Final = 16
NAMESPACE_BYTES: Final = 8
_SHOWN_BYTES: Final = 256  # of a namespace, in a value
_NAMESPACE_AT: Final = len(IDENTITY) + ID_BYTES
_PROFILE_AT: Final = _NAMESPACE_AT + NAMESPACE_BYTES
_FORMAT: Final = 1


class IndexState(StrEnum):
    """The state of a partition's index: complete, or what is being done to it."""

    REMOVING = "removing"  # it is switched off, and its rows go
    CLEARING = "clearing"  # somebody applied events without it: its rows go, and it is built anew
    BUILDING = "building"  # its rows are true, and those of profiles above the cursor may be missing
    COMPLETE = "complete"


class IndexProgress(NamedTuple):
    """The progress of a partition's index.

    `next_offset` is the source position's of the commit that wrote it. `cursor`: the last profile whose rows are there,
    while it is BUILDING; `seen`: how many profiles were looked at.
    """

    state: IndexState
    next_offset: int = 0
    cursor: str = ""
    seen: int = 0


class IdentityRow(NamedTuple):
    """The parts of an identity row's key."""

    id_hash: bytes
    namespace_hash: bytes
    profile_id: bytes


def identity_key(namespace: str, identity_id: str, profile_id: bytes) -> bytes:
    """Return the key of the row that says that a profile has an identity."""
    return b"%b%b%b%b" % (IDENTITY, hash_id(identity_id), hash_namespace(namespace), profile_id)


def identity_value(namespace: str) -> bytes:
    """Return the row's value: the namespace, cut where it is very long."""
    return namespace.encode()[:_SHOWN_BYTES]


def hash_id(identity_id: str) -> bytes:
    """Return the bytes that stand for an identity's id."""
    return blake2b(identity_id.encode(), digest_size=ID_BYTES).digest()


@lru_cache(maxsize=4096)
def hash_namespace(namespace: str) -> bytes:
    """Return the bytes that stand for a namespace, as it is stored."""
    return blake2b(namespace.encode(), digest_size=NAMESPACE_BYTES).digest()


def decode_identity_key(key: bytes) -> IdentityRow:
    """Return the parts of a key that begins with IDENTITY."""
    return IdentityRow(key[len(IDENTITY) : _NAMESPACE_AT], key[_NAMESPACE_AT:_PROFILE_AT], key[_PROFILE_AT:])


def decode_namespace(value: bytes) -> str:
    """Return the namespace of a row's value."""
    return value.decode(errors="ignore")


def encode_progress(progress: IndexProgress) -> bytes:
    """Return the progress as a row's value."""
    return orjson.dumps({"format": _FORMAT, **progress._asdict()})


def decode_progress(value: bytes | None) -> IndexProgress | None:
    """Return the progress of a row's value; None where this version knows none: the index is made anew then."""
    try:
        fields = orjson.loads(value or b"null")
        if fields.pop("format") != _FORMAT:
            return None
        return IndexProgress(IndexState(fields.pop("state")), **fields)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
