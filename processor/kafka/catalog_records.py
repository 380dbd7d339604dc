"""Flows and audiences as records of their compacted topics; a tombstone removes one.

    flows       key: flow id                        value: {"flow": {…}, "etag": "<32 hex digits>"}
    audiences   key: ["<namespace>","<id>"]         value: {"audience": {…}}

The etag is new with every change of the flow, also back to an earlier content. A secret stays the reference that the file has.
"""

from typing import NamedTuple

import orjson
from pydantic import ValidationError

from schemas.audience import Audience, AudienceKey
from schemas.faults import faults_of
from schemas.flow import Flow
from schemas.model import Model


class BadCatalogRecord(ValueError):
    """The record is no flow, or no audience; the text says which and why."""


class StoredFlow(NamedTuple):
    """A flow, and the etag of this content."""

    flow: Flow
    etag: str


def flow_key(flow_id: str) -> bytes:
    """The key of a flow."""
    return flow_id.encode()


def audience_key(key: AudienceKey) -> bytes:
    """The key of an audience."""
    return orjson.dumps(key)


def flow_value(stored: StoredFlow) -> bytes:
    """The value of a flow."""
    return orjson.dumps({"flow": plain(stored.flow), "etag": stored.etag})


def audience_value(audience: Audience) -> bytes:
    """The value of an audience."""
    return orjson.dumps({"audience": plain(audience)})


def read_flow(key: bytes, value: bytes) -> StoredFlow:
    """The flow of a record; raises BadCatalogRecord."""
    try:
        fields = orjson.loads(value)
        stored = StoredFlow(Flow.model_validate(fields["flow"]), fields["etag"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
        raise BadCatalogRecord(f"flow {key.decode(errors='replace')}: {without_input(error)}") from None
    if flow_key(stored.flow.id) != key or not isinstance(stored.etag, str):
        raise BadCatalogRecord(f"flow {key.decode(errors='replace')}: the key is not the flow's id, or the etag is no text")
    return stored


def read_audience(key: bytes, value: bytes) -> Audience:
    """The audience of a record; raises BadCatalogRecord."""
    try:
        audience, named = Audience.model_validate(orjson.loads(value)["audience"]), orjson.loads(key)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
        raise BadCatalogRecord(f"audience {key.decode(errors='replace')}: {without_input(error)}") from None
    if named != list(audience.key):
        raise BadCatalogRecord(f"audience {key.decode(errors='replace')}: the key is not the audience's")
    return audience


def plain(model: Model) -> dict[str, object]:
    """As JSON, without what is not said."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def without_input(error: Exception) -> str:
    """What is wrong with a record, without its values: there may be secrets among them."""
    if not isinstance(error, ValidationError):
        return "it is no JSON object of the right form" if not isinstance(error, KeyError) else f"it lacks {error}"
    return "; ".join(faults_of(error, whole="the record"))
