"""The trace that an event hands on to its records: W3C Trace Context, of its Kafka headers, else of its attributes.

What does not have the form of the specification, or is longer than it asks anybody to keep, is left out: headers of
others must neither break a reader nor fill `exports`.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from schemas.event import TraceAttributes
from schemas.kafka import NO_HEADERS, ProducerHeaders
from schemas.wire.exports import ExportHeader

MAX_TRACESTATE_BYTES: Final = 512
MAX_TRACESTATE_MEMBERS: Final = 32
_TRACEPARENT: Final = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_MEMBER: Final = re.compile(
    rb"[ \t]*(?:[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])?[ \t]*"
)


def trace_headers(headers: Sequence[tuple[str, bytes | None]], attributes: TraceAttributes) -> ProducerHeaders:
    """Make the headers of a record on `exports` from an event's Kafka headers, else from its attributes.

    Without a valid `traceparent` there are none.
    """
    of_kafka = dict(headers)
    first = of_kafka.get(ExportHeader.TRACEPARENT), of_kafka.get(ExportHeader.TRACESTATE)
    return _checked(*first) or (NO_HEADERS if attributes is None else _checked(*map(_bytes, attributes)))


def _checked(traceparent: bytes | None, tracestate: bytes | None) -> ProducerHeaders:
    if traceparent is None or _TRACEPARENT.fullmatch(traceparent) is None:
        return NO_HEADERS
    found: ProducerHeaders = [(ExportHeader.TRACEPARENT, traceparent)]
    if tracestate and _is_tracestate(tracestate):
        found.append((ExportHeader.TRACESTATE, tracestate))
    return found


def _is_tracestate(text: bytes) -> bool:
    members = text.split(b",") if len(text) <= MAX_TRACESTATE_BYTES else []
    return 0 < len(members) <= MAX_TRACESTATE_MEMBERS and all(map(_MEMBER.fullmatch, members))


def _bytes(attribute: Any) -> bytes | None:
    return attribute.encode() if isinstance(attribute, str) else None
