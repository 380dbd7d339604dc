"""Check bodies against the catalogue and turn them into our own objects; pure but for the encryption of a secret."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from processor.api.errors import ApiError, Code
from processor.api.flow_service.models import (
    Auth,
    Body,
    ConnectionBody,
    DefaultAuth,
    FlowBody,
    KeyAuth,
    ProfileAuth,
    RoleAuth,
    SourceConnectionBody,
    Spec,
    TargetConnectionBody,
    Transformation,
)
from processor.api.flow_service.specs import (
    ASSUME_ROLE,
    CONNECTION_SPECS,
    DEFAULT_CHAIN,
    KEYS,
    KINESIS,
    NAMED_PROFILE,
    PROFILE_SERVICE,
)
from processor.api.flow_service.views import AT_THE_TARGET, attribute_note_key, audience_note_key
from processor.foundation.secrets import NoSecretsKey, Secrets
from schemas.connection import Connection, Note, SourceConnection, SpecReference, TargetConnection, TargetParams
from schemas.destination import (
    MASKED,
    Credentials,
    DefaultCredentials,
    KeyCredentials,
    ProfileCredentials,
    RoleCredentials,
)
from schemas.flow import AudienceMapping, Options
from schemas.model import Remarks, list_faults
from schemas.paths import without_prefixes
from schemas.times import format_time

Checked = TypeVar("Checked", bound=BaseModel)

_AUTHS: Final[dict[str, type[Body]]] = {
    KEYS: KeyAuth,
    DEFAULT_CHAIN: DefaultAuth,
    ASSUME_ROLE: RoleAuth,
    NAMED_PROFILE: ProfileAuth,
}


def checked(model: type[Checked], value: Any, path: str = "", remarks: Remarks | None = None) -> Checked:
    """Return the value as `model`; raise ApiError with every fault and its path.

    The error quotes no value: it may be a secret. What its author should know besides is added to `remarks`.
    """
    try:
        return model.model_validate(value, context=remarks)
    except ValidationError as error:
        raise ApiError(Code.INVALID, "; ".join(list_faults(error, path))) from None


def connection_of(body: ConnectionBody, secrets: Secrets, before: Connection | None = None) -> Connection:
    """Build a base connection; a secret that is shown masked stays what it was in `before`."""
    spec = known_spec(body.connection_spec, CONNECTION_SPECS)
    if spec.id == PROFILE_SERVICE:
        if body.auth is not None:
            raise ApiError(
                Code.UNKNOWN_AUTH, "auth.specName: the Profile Service needs no authentication: leave auth out"
            )
        return Connection(name=body.name, description=body.description, connection_spec=spec)
    if body.auth is None:
        raise ApiError(Code.UNKNOWN_AUTH, f"auth is missing; specName is one of {', '.join(_AUTHS)}")
    params = _auth_params(body.auth)
    address = {"region": params.region, "endpoint_url": params.connection_url}
    credentials = _credentials(params, secrets, before)
    return _built(
        Connection,
        name=body.name,
        description=body.description,
        connection_spec=spec,
        credentials=credentials,
        **address,
    )


def require_storable(path: str, value: Any) -> None:
    """Raise ApiError for JSON that cannot be stored: half a surrogate pair, numbers over 64 bits, deep nesting."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise ApiError(Code.INVALID, f"{path}: holds a text, a number or a nesting that cannot be stored") from None


def source_of(body: SourceConnectionBody) -> SourceConnection:
    """Build a source connection from its body."""
    require_storable("data", body.data)
    require_storable("params", body.params)
    spec = known_spec(body.connection_spec, CONNECTION_SPECS, PROFILE_SERVICE)
    return SourceConnection(
        name=body.name,
        description=body.description,
        connection_spec=spec,
        base_connection_id=body.base_connection_id,
        data=body.data,
        params=body.params,
    )


def target_of(body: TargetConnectionBody, remarks: Remarks) -> TargetConnection:
    """Build a target connection from its body."""
    require_storable("data", body.data)
    spec = known_spec(body.connection_spec, CONNECTION_SPECS, KINESIS)
    return TargetConnection(
        name=body.name,
        description=body.description,
        connection_spec=spec,
        base_connection_id=body.base_connection_id,
        data=body.data,
        params=checked(TargetParams, body.params.model_dump(by_alias=True, exclude_none=True), "params", remarks),
    )


def known_spec(spec: Spec, known: list[dict[str, Any]], wanted: str | None = None) -> SpecReference:
    """Return a reference to the spec; raise ApiError where it is unknown, or is not the wanted one."""
    if spec.id not in {each["id"] for each in known}:
        raise ApiError(
            Code.UNKNOWN_SPEC, f"there is no spec {spec.id}; those there are: {', '.join(each['id'] for each in known)}"
        )
    if wanted is not None and spec.id != wanted:
        raise ApiError(Code.UNKNOWN_SPEC, f"the spec {spec.id} does not fit here, {wanted} does")
    return SpecReference(id=spec.id, version=spec.version)


def options_of_flow(body: FlowBody, remarks: Remarks) -> Options:
    """Return the options that belong to the flow; raise ApiError for those of a target connection."""
    if misplaced := sorted(AT_THE_TARGET & body.options.keys()):
        raise ApiError(Code.INVALID, f"options.{misplaced[0]} is said by params of the target connection")
    return checked(Options, body.options, "options", remarks)


class MappedSelectors:
    """The audiences and attributes that selectors map, with notes on each; times of earlier mappings are kept."""

    def __init__(
        self, body: FlowBody, notes: dict[str, Note], audiences: tuple[AudienceMapping, ...], now_seconds: int
    ) -> None:
        transformation = body.transformations[0] if body.transformations else Transformation()
        self.notes: dict[str, Note] = {}
        self._before, self._now = notes, now_seconds
        known = {each.key: each for each in audiences}
        now = format_time(now_seconds)
        self.audiences: list[dict[str, Any]] = []  # as AudienceMapping is read
        for selector in transformation.params.segment_selectors.selectors:
            value = selector.value
            is_same = self._keep_note(audience_note_key(value.namespace, value.id), value.name, value.description)
            before = known.get((value.namespace, value.id))
            created_at = now if before is None else before.created_at
            updated_at = before.updated_at if before is not None and is_same else now
            self.audiences.append(
                {"namespace": value.namespace, "id": value.id, "createdAt": created_at, "updatedAt": updated_at}
            )
        self.attributes: list[str] = []
        for each in transformation.params.profile_selectors.selectors:
            self._keep_note(
                attribute_note_key(without_prefixes(each.value.path)), each.value.name, each.value.description
            )
            self.attributes.append(each.value.path)

    def _keep_note(self, key: str, name: str | None, description: str | None) -> bool:
        """Keep the note of a selector; return whether it is the one of before."""
        before = self._before.get(key)
        is_same = (name, description) == ((None, None) if before is None else (before.name, before.description))
        if before is not None and is_same:
            self.notes[key] = before
        else:
            created = self._now if before is None else before.create_time
            self.notes[key] = Note(name=name, description=description, create_time=created, update_time=self._now)
        return is_same


def _auth_params(auth: Auth) -> Any:
    model = _AUTHS.get(auth.spec_name)
    if model is None:
        raise ApiError(Code.UNKNOWN_AUTH, f"auth.specName: {auth.spec_name} is none of {', '.join(_AUTHS)}")
    return checked(model, auth.params, "auth.params")


def _credentials(params: Any, secrets: Secrets, before: Connection | None) -> Credentials:
    match params:
        case KeyAuth():
            secret_key = _stored_secret(params.secret_key, secrets, before)
            return _built(KeyCredentials, type="keys", access_key_id=params.access_key_id, secret_key=secret_key)
        case RoleAuth():
            return _built(RoleCredentials, type="role", arn=params.role_arn, external_id=params.external_id)
        case ProfileAuth():
            return _built(ProfileCredentials, type="profile", name=params.profile)
        case _:
            return DefaultCredentials()


def _stored_secret(secret: str, secrets: Secrets, before: Connection | None) -> str:
    if secret == MASKED and before is not None and isinstance(before.credentials, KeyCredentials):
        return before.credentials.secret_key
    if secret.startswith("${"):
        return secret
    try:
        return secrets.encrypt(secret)
    except NoSecretsKey as error:
        raise ApiError(Code.NO_SECRETS_KEY, str(error)) from None


def _built(model: type[Checked], **fields: Any) -> Checked:
    return checked(model, {_camel(model, name): value for name, value in fields.items()}, "auth.params")


def _camel(model: type[BaseModel], name: str) -> str:
    return model.model_fields[name].alias or name


def remarks_on_params(remarks: Sequence[str]) -> list[str]:
    """Return the remarks on a target connection, whose `params` are options of a flow."""
    return [remark.replace("options.", "params.", 1) for remark in dict.fromkeys(remarks)]
