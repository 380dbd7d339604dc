"""Bodies of the control API, as programs written for Adobe's Flow Service send them.

What is unknown in them is refused, with its place.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from schemas.destination import StreamName, is_http_url

Text = Annotated[str, Field(min_length=1, max_length=512)]
Words = Annotated[str, Field(max_length=4096)]


def _require_visible(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank")
    return text


ConnectionUrl = Annotated[Text, AfterValidator(is_http_url)]
Credential = Annotated[Text, AfterValidator(_require_visible)]
"""An access key id or a secret."""


class Body(BaseModel):
    """JSON as it comes: camelCase, no unknown keys."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class Spec(Body):
    """A connection spec or flow spec, by its fixed id."""

    id: Text
    version: Text = "1.0"


class KeyAuth(Body):
    """Keys as Adobe's clients send them.

    `secretKey` is write-only; `${NAME}` names a variable of the workers instead.
    """

    access_key_id: Credential
    secret_key: Credential
    region: Text | None = None
    connection_url: ConnectionUrl | None = None


class DefaultAuth(Body):
    """boto3's default chain, where the workers run."""

    region: Text | None = None
    connection_url: ConnectionUrl | None = None


class RoleAuth(DefaultAuth):
    """A role to assume from the default chain."""

    role_arn: Text
    external_id: Text | None = None


class ProfileAuth(DefaultAuth):
    """A named profile of the workers' AWS configuration."""

    profile: Text


class Auth(Body):
    """`specName` says what `params` are: see `GET /connectionSpecs`."""

    spec_name: Text
    params: dict[str, Any] = Field(default_factory=dict)


class ConnectionBody(Body):
    """A base connection."""

    name: Text
    description: Words | None = None
    connection_spec: Spec
    auth: Auth | None = None


class SourceConnectionBody(Body):
    """Where profiles come from."""

    name: Text
    description: Words | None = None
    base_connection_id: Text
    connection_spec: Spec
    data: dict[str, Any] = Field(default_factory=dict)
    params: dict[str, Any] = Field(default_factory=dict)


def _or_arn(stream: str | None, info: ValidationInfo) -> str | None:
    if stream is None and info.data.get("stream_arn", "") is None:
        raise PydanticCustomError("missing", "Field required, or streamArn")
    return stream


class StreamParams(Body):
    """The stream, by its name or its ARN (G10), and those options that say what its records look like there (contract
    4b).
    """

    stream_arn: Text | None = None
    stream: Annotated[StreamName | None, Field(validate_default=True), AfterValidator(_or_arn)] = None
    region: Text | None = None
    include_segment_names: bool | None = None
    include_segment_timestamps: bool | None = None
    envelope: Literal["none", "cloudevents"] | None = None
    record_delimiter: Literal["none", "newline"] | None = None
    partition_key: Text | None = None


class TargetConnectionBody(Body):
    """Where records go."""

    name: Text
    description: Words | None = None
    base_connection_id: Text
    connection_spec: Spec
    data: dict[str, Any] = Field(default_factory=dict)
    params: StreamParams


class SegmentValue(Body):
    """A mapped audience. The times are the server's: what a client says of them is passed over."""

    model_config = ConfigDict(extra="ignore")
    id: Text
    namespace: Text = "ups"
    name: Words | None = None
    description: Words | None = None


class PathValue(Body):
    """A mapped attribute: a dotted XDM path."""

    model_config = ConfigDict(extra="ignore")
    path: Text
    operator: Literal["EXISTS"] = "EXISTS"
    name: Words | None = None
    description: Words | None = None


class SegmentSelector(Body):
    """One audience."""

    type: Literal["PLATFORM_SEGMENT"]
    value: SegmentValue


class PathSelector(Body):
    """One attribute."""

    type: Literal["JSON_PATH"]
    value: PathValue


class SegmentSelectors(Body):
    """All audiences of a flow."""

    selectors: list[SegmentSelector] = Field(default_factory=list)


class PathSelectors(Body):
    """All attributes of a flow."""

    selectors: list[PathSelector] = Field(default_factory=list)


class TransformationParams(Body):
    """What is mapped."""

    profile_selectors: PathSelectors = PathSelectors()
    segment_selectors: SegmentSelectors = SegmentSelectors()


class Transformation(Body):
    """The one transformation there is."""

    name: Literal["GeneralTransform"] = "GeneralTransform"
    params: TransformationParams = TransformationParams()


class FlowBody(Body):
    """A flow. It is created enabled; its state is changed by `POST /flows/{id}/action`."""

    name: Text
    description: Words | None = None
    flow_spec: Spec
    source_connection_ids: Annotated[list[Text], Field(min_length=1, max_length=1)]
    target_connection_ids: Annotated[list[Text], Field(min_length=1, max_length=1)]
    transformations: Annotated[list[Transformation], Field(max_length=1)] = Field(default_factory=list)
    options: dict[str, Any] = Field(default_factory=dict)


class PatchOperation(BaseModel):
    """One operation of RFC 6902; `op` in any letter case. A `value` that an operation has no use for is passed over."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)
    op: Text
    path: str
    value: Any = None
    from_: str | None = Field(default=None, alias="from")
