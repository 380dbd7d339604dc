"""Keys and values of the changelog and of RocksDB, the same in both. Pure.

    b"p" + profile id      a profile's row: a header line, then the document
    b"w"                   the watermark: up to where in profile-events this state is complete

A row is `\\x01` (its format), a JSON array `[offset, version, event ids, size bound]`, a newline, and the document as compact
JSON (which holds no newline). A tombstone removes a profile.
"""

from typing import Final, NamedTuple

import orjson

from schemas.profile import Profile

PROFILE: Final = b"p"
WATERMARK_KEY: Final = b"w"
FORMAT: Final = b"\x01"


class UnreadableRow(ValueError):
    """The bytes are no row of a format that this version knows: another version wrote them, or they are damaged."""


class Row(NamedTuple):
    """A profile, and the offset in profile-events of the last event applied to it."""

    profile: Profile
    offset: int


class Watermark(NamedTuple):
    """How far the state of a partition is.

    `next_offset` is the first offset of profile-events that is not in it. `bad_in_a_row` counts the unusable events just
    before it (contract I4). The ids are Kafka's of the two topics, None where the broker does not tell: a topic that was
    deleted and created again has another.
    """

    next_offset: int
    bad_in_a_row: int = 0
    source_topic_id: str | None = None
    changelog_topic_id: str | None = None


def profile_key(profile_id: bytes) -> bytes:
    """The key of a profile's row."""
    return PROFILE + profile_id


def encode_row(profile: Profile, offset: int) -> bytes:
    """The row's value."""
    header = orjson.dumps((offset, profile.version, profile.event_ids, profile.size_bound_bytes))
    return b"\x01%b\n%b" % (header, orjson.dumps(profile.document))


def decode_row(value: bytes) -> Row:
    """The row of a value; raises UnreadableRow."""
    end = value.find(b"\n")
    if value[:1] != FORMAT or end < 0:
        raise UnreadableRow(f"row of an unknown format: {value[:8]!r}")
    view = memoryview(value)
    try:
        offset, version, event_ids, size_bound = orjson.loads(view[1:end])
        document = orjson.loads(view[end + 1 :])
    except (orjson.JSONDecodeError, ValueError) as error:
        raise UnreadableRow(f"damaged row: {error}") from None
    return Row(Profile(document, version, tuple(event_ids), size_bound), offset)


def encode_watermark(watermark: Watermark) -> bytes:
    """The watermark's value: a JSON object of its fields."""
    return orjson.dumps(watermark._asdict())


def decode_watermark(value: bytes) -> Watermark:
    """The watermark of a value; raises UnreadableRow."""
    try:
        return Watermark(**orjson.loads(value))
    except (orjson.JSONDecodeError, TypeError) as error:
        raise UnreadableRow(f"damaged watermark: {error}") from None
