"""The bodies of calls, as programs written for Adobe's Flow Service send them.

Unknown fields are refused, with their path.
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
    """A body of JSON as it comes: camelCase, without unknown keys."""

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
    """The default chain of boto3, where the workers run."""

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
    """The authentication of a connection; `specName` decides what `params` are (`GET /connectionSpecs`)."""

    spec_name: Text
    params: dict[str, Any] = Field(default_factory=dict)


class ConnectionBody(Body):
    """The body of a base connection."""

    name: Text
    description: Words | None = None
    connection_spec: Spec
    auth: Auth | None = None


class SourceConnectionBody(Body):
    """The body of a source connection, where profiles come from."""

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
    """The stream, by its name or its ARN (G10), and the options of its records there (contract 4b)."""

    stream_arn: Text | None = None
    stream: Annotated[StreamName | None, Field(validate_default=True), AfterValidator(_or_arn)] = None
    region: Text | None = None
    include_segment_names: bool | None = None
    include_segment_timestamps: bool | None = None
    envelope: Literal["none", "cloudevents"] | None = None
    record_delimiter: Literal["none", "newline"] | None = None
    partition_key: Text | None = None


class TargetConnectionBody(Body):
    """The body of a target connection, where records go."""

    name: Text
    description: Words | None = None
    base_connection_id: Text
    connection_spec: Spec
    data: dict[str, Any] = Field(default_factory=dict)
    params: StreamParams


class SegmentValue(Body):
    """A mapped audience. The times are the server's: what a client sends of them is ignored."""

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
    """The selector of one audience."""

    type: Literal["PLATFORM_SEGMENT"]
    value: SegmentValue


class PathSelector(Body):
    """The selector of one attribute."""

    type: Literal["JSON_PATH"]
    value: PathValue


class SegmentSelectors(Body):
    """The selectors of the audiences of a flow."""

    selectors: list[SegmentSelector] = Field(default_factory=list)


class PathSelectors(Body):
    """The selectors of the attributes of a flow."""

    selectors: list[PathSelector] = Field(default_factory=list)


class TransformationParams(Body):
    """The selectors of a flow: what is mapped."""

    profile_selectors: PathSelectors = PathSelectors()
    segment_selectors: SegmentSelectors = SegmentSelectors()


class Transformation(Body):
    """The transformation of a flow, the only kind that exists."""

    name: Literal["GeneralTransform"] = "GeneralTransform"
    params: TransformationParams = TransformationParams()


class FlowBody(Body):
    """The body of a flow, which is created enabled; its state is changed by `POST /flows/{id}/action`."""

    name: Text
    description: Words | None = None
    flow_spec: Spec
    source_connection_ids: Annotated[list[Text], Field(min_length=1, max_length=1)]
    target_connection_ids: Annotated[list[Text], Field(min_length=1, max_length=1)]
    transformations: Annotated[list[Transformation], Field(max_length=1)] = Field(default_factory=list)
    options: dict[str, Any] = Field(default_factory=dict)


class PatchOperation(BaseModel):
    """An operation of RFC 6902; `op` is in any letter case, and a `value` without use for it is ignored."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)
    op: Text
    path: str
    value: Any = None
    from_: str | None = Field(default=None, alias="from")
