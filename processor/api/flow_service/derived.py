"""Derive connections for flows that no client of the Flow Service made, under ids that stay the same. Pure."""

from hashlib import sha256
from typing import Final
from uuid import UUID, uuid5

from processor.api.flow_service.specs import KINESIS, PROFILE_SERVICE
from schemas.connection import (
    TARGET_OPTIONS,
    AnyObject,
    Connection,
    Kind,
    SourceConnection,
    SpecReference,
    TargetConnection,
    TargetParams,
)
from schemas.flow import Flow, Options
from schemas.model import STORED, dump_model

_NAMES: Final = UUID("2f6c6d2e-5f0e-4a4b-9b39-0d3f0e8c7a11")  # ours, for derived ids
_THE_SOURCE: Final = "the source of flows that a file made"


def derive_id(kind: Kind, name: str) -> str:
    """Return the id of a derived object, the same for the same name."""
    return str(uuid5(_NAMES, f"{kind}/{name}"))


def content_etag(item: AnyObject) -> str:
    """Return the etag of a derived object: that of its content, as it has no history."""
    return sha256(repr(dump_model(item)).encode()).hexdigest()[:32]


def derive_base(flow: Flow) -> Connection:
    """Derive the base connection of a flow from its destination."""
    destination = flow.destination
    fields = {
        "name": flow.name or flow.id,
        "connection_spec": SpecReference(id=KINESIS),
        "credentials": destination.credentials,
        "region": destination.region,
        "endpoint_url": destination.endpoint_url,
    }
    return Connection.model_validate(fields, context=STORED)


def derive_target(flow: Flow, base_id: str) -> TargetConnection:
    """Derive the target connection of a flow from its destination and options."""
    destination, usual = flow.destination, Options()
    options = {name: getattr(flow.options, name) for name in TARGET_OPTIONS}
    chosen = {name: value for name, value in options.items() if value != getattr(usual, name)}
    stream = {"stream": destination.stream, "region": destination.region}
    named = stream if destination.stream_arn is None else {"stream_arn": destination.stream_arn}
    return TargetConnection(
        name=flow.name or flow.id,
        base_connection_id=base_id,
        connection_spec=SpecReference(id=KINESIS),
        data={"format": "JSON"},
        params=TargetParams.model_validate(named | chosen, context=STORED),
    )


def derive_source() -> tuple[str, Connection, str, SourceConnection]:
    """Derive the one source of all such flows: (id of its base, the base, its id, the source connection)."""
    spec = SpecReference(id=PROFILE_SERVICE)
    base_id = derive_id(Kind.CONNECTION, _THE_SOURCE)
    source = SourceConnection(
        name="Profile Service", base_connection_id=base_id, connection_spec=spec, data={"format": "json"}
    )
    base = Connection(name="Profile Service", connection_spec=spec)
    return base_id, base, derive_id(Kind.SOURCE_CONNECTION, _THE_SOURCE), source
