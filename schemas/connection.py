"""The objects that the control API keeps beside flows and audiences: Adobe's connections, and flows' links to them.

    Connection (base, authentication) ─► SourceConnection ─┐
    Connection (base, authentication) ─► TargetConnection ─┴─► FlowLink ─► the flow of the same id on `flows`

They are for the API alone: a flow on `flows` says everything that a worker needs.
"""

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from schemas.destination import Credentials, is_http_url
from schemas.flow import Options, is_partition_key
from schemas.model import Name, NamedModel

MillisecondsSince1970 = int


class Kind(StrEnum):
    """The objects of the API; the values are their paths."""

    CONNECTION = "connections"
    SOURCE_CONNECTION = "sourceConnections"
    TARGET_CONNECTION = "targetConnections"
    FLOW = "flows"


class SpecReference(NamedModel):
    """A connection spec or flow spec, by its fixed id."""

    id: Name
    version: Name = "1.0"


class Connection(NamedModel):
    """A base connection. `credentials`: how we are authorized at Kinesis, or None for our Profile Service."""

    name: Name
    description: str | None = None
    connection_spec: SpecReference
    credentials: Credentials | None = None
    region: str | None = None
    endpoint_url: Annotated[str, AfterValidator(is_http_url)] | None = None


class SourceConnection(NamedModel):
    """A connection that profiles come from; there is one such source."""

    name: Name
    description: str | None = None
    base_connection_id: Name
    connection_spec: SpecReference
    data: dict[str, Any] = Field(default_factory=dict)
    params: dict[str, Any] = Field(default_factory=dict)


class TargetParams(NamedModel):
    """The stream, by its name or its ARN, and those options of a flow that say what its records look like there.

    An option left out is the flow's own.
    """

    stream: Name | None = None  # None: the ARN says it
    region: str | None = None  # None: the ARN says it, else it is the base connection's
    stream_arn: Name | None = None
    include_segment_names: bool | None = None
    include_segment_timestamps: bool | None = None
    envelope: Literal["none", "cloudevents"] | None = None
    record_delimiter: Literal["none", "newline"] | None = None
    partition_key: Annotated[str, AfterValidator(is_partition_key)] | None = None


TARGET_OPTIONS: Final = tuple(sorted(TargetParams.model_fields.keys() & Options.model_fields.keys()))
"""The options of contract 4b that a target connection says, by their names here."""


class TargetConnection(NamedModel):
    """A connection that records go to."""

    name: Name
    description: str | None = None
    base_connection_id: Name
    connection_spec: SpecReference
    data: dict[str, Any] = Field(default_factory=dict)
    params: TargetParams


class Note(NamedModel):
    """The words of a client about one selector that a flow has no field for, and when the selector came and changed.

    Times are seconds since 1970.
    """

    name: str | None = None
    description: str | None = None
    create_time: int
    update_time: int


class FlowLink(NamedModel):
    """The API's knowledge of a flow beside its record on `flows`.

    `notes`: by the selector's place, `audience:<ns>/<id>` or `attribute:<path>`.
    """

    source_connection_id: Name
    target_connection_id: Name
    flow_spec: SpecReference
    notes: dict[str, Note] = Field(default_factory=dict)


AnyObject = Connection | SourceConnection | TargetConnection | FlowLink


class StoredObject(NamedModel):
    """A record of the topic `connections`: one object, its etag, when it came and changed, and by whom.

    None where nobody said who.
    """

    kind: Annotated[Kind, Field(strict=False)]
    id: Name
    etag: str
    created_at: MillisecondsSince1970
    updated_at: MillisecondsSince1970
    created_by: str | None = None
    updated_by: str | None = None
    object: dict[str, Any]
