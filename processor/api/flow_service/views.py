"""Show objects as JSON, as Adobe's clients read them; a secret is never in one. Pure."""

from typing import Any, Final

from pydantic.alias_generators import to_camel

from processor.api.etags import quoted
from processor.api.flow_service.objects import Attached, LinkedConnection, Objects
from processor.api.flow_service.specs import ASSUME_ROLE, DEFAULT_CHAIN, KEYS, NAMED_PROFILE
from processor.catalog.state import Kept
from schemas.connection import (
    TARGET_OPTIONS,
    AnyObject,
    Connection,
    FlowLink,
    Kind,
    Note,
    SourceConnection,
    SpecReference,
)
from schemas.destination import (
    MASKED,
    Credentials,
    DefaultCredentials,
    KeyCredentials,
    ProfileCredentials,
    RoleCredentials,
    mask_secrets,
)
from schemas.flow import AudienceMapping, Flow, Options
from schemas.model import dump_model
from schemas.times import parse_time

AT_THE_TARGET: Final = frozenset(map(to_camel, TARGET_OPTIONS))
"""The options of target connections, as clients write them."""

FIXED: Final = (
    "id", "etag", "version", "createdAt", "updatedAt", "createdBy", "updatedBy", "imsOrgId", "sandboxName", "state",
    "inheritedAttributes",
)  # fmt: skip
"""The fields that no client can change in an object."""


ENABLED: Final = "enabled"
"""The state of every connection: only flows are switched off."""

UNKNOWN: Final = "unknown"
"""The author of what was written before authors were kept."""


def connection_view(objects: Objects, object_id: str, kept: Kept[AnyObject]) -> dict[str, Any]:
    """Show a connection of any kind, without its secret."""
    item = kept.item
    assert not isinstance(item, FlowLink), "a flow has a view of its own"
    view = {
        **_head(object_id, item.name, item.description, kept),
        "state": ENABLED,
        "connectionSpec": dump_model(item.connection_spec),
    }
    if isinstance(item, Connection):
        return view if item.credentials is None else view | {"auth": _auth(item)}
    params = item.params if isinstance(item, SourceConnection) else dump_model(item.params)
    inherited = {"baseConnection": _base(item.base_connection_id, objects.base_spec(item))}
    return view | {
        "baseConnectionId": item.base_connection_id,
        "data": item.data,
        "params": params,
        "inheritedAttributes": inherited,
    }


def flow_view(flow_id: str, attached: Attached) -> dict[str, Any]:
    """Show a flow as clients read it."""
    flow, link = attached.flow.item, attached.link
    return {
        **_head(flow_id, flow.name or flow.id, flow.description, attached.flow),
        "createdAt": attached.created_at,
        "flowSpec": dump_model(link.flow_spec),
        "state": flow.state.value,
        "sourceConnectionIds": [link.source_connection_id],
        "targetConnectionIds": [link.target_connection_id],
        "inheritedAttributes": {
            "properties": {"isDestinationFlow": True},
            "sourceConnections": [_inherited(attached.source)],
            "targetConnections": [_inherited(attached.target)],
        },
        "transformations": [{"name": "GeneralTransform", "params": _selectors(flow, link.notes)}],
        "options": flow_options(flow.options),
    }


def flow_options(options: Options) -> dict[str, Any]:
    """Show the options that belong to the flow and are not the parity behaviour."""
    usual = dump_model(Options())
    return {
        name: value
        for name, value in dump_model(options).items()
        if name not in AT_THE_TARGET and value != usual.get(name)
    }


def all_views(objects: Objects, kind: Kind) -> list[dict[str, Any]]:
    """Show every object of a kind."""
    if kind is Kind.FLOW:
        return [flow_view(flow_id, attached) for flow_id, attached in objects.flows()]
    return [connection_view(objects, object_id, kept) for object_id, kept in objects.all(kind)]


def audience_note_key(namespace: str, audience_id: str) -> str:
    """Return the key of the note on a mapped audience."""
    return f"audience:{namespace}/{audience_id}"


def attribute_note_key(path: str) -> str:
    """Return the key of the note on a mapped attribute."""
    return f"attribute:{path}"


def _head(object_id: str, name: str, description: str | None, kept: Kept[Any]) -> dict[str, Any]:
    times = {"createdAt": kept.created_at, "updatedAt": kept.updated_at}
    authors = {"createdBy": kept.created_by or UNKNOWN, "updatedBy": kept.updated_by or UNKNOWN}
    head = {"id": object_id, **times, **authors, "name": name}
    if description is not None:
        head["description"] = description
    return head | {"version": quoted(kept.etag), "etag": quoted(kept.etag)}


def _inherited(of: LinkedConnection) -> dict[str, Any]:
    return {"id": of.id, "connectionSpec": dump_model(of.spec), "baseConnection": _base(of.base_id, of.base_spec)}


def _base(base_id: str, spec: SpecReference) -> dict[str, Any]:
    return {"id": base_id, "connectionSpec": dump_model(spec)}


def _auth(connection: Connection) -> dict[str, Any]:
    assert connection.credentials is not None
    name, params = _params(connection.credentials)
    address = {"region": connection.region, "connectionUrl": connection.endpoint_url}
    return {
        "specName": name,
        "params": params | {field: value for field, value in address.items() if value is not None},
    }


def _params(credentials: Credentials) -> tuple[str, dict[str, Any]]:
    match credentials:
        case KeyCredentials():
            return KEYS, mask_secrets({"accessKeyId": credentials.access_key_id, "secretKey": credentials.secret_key})
        case RoleCredentials():
            outside = {} if credentials.external_id is None else {"externalId": credentials.external_id}
            return ASSUME_ROLE, {"roleArn": credentials.arn, **outside}
        case ProfileCredentials():
            return NAMED_PROFILE, {"profile": credentials.name}
        case DefaultCredentials():
            return DEFAULT_CHAIN, {}


def without_secret(view: dict[str, Any]) -> dict[str, Any]:
    """Return a view without the field of a secret; a reference to the environment is none, and stays."""
    params = view.get("auth", {}).get("params", {})
    if params.get("secretKey") != MASKED:
        return view
    rest = {name: value for name, value in params.items() if name != "secretKey"}
    return view | {"auth": view["auth"] | {"params": rest}}


def _selectors(flow: Flow, notes: dict[str, Note]) -> dict[str, Any]:
    segments = [
        {
            "type": "PLATFORM_SEGMENT",
            "value": {
                "id": each.id,
                "namespace": each.namespace,
                **_words(notes.get(audience_note_key(each.namespace, each.id))),
                **_times(each),
            },
        }
        for each in flow.audiences
    ]
    paths = [
        {
            "type": "JSON_PATH",
            "value": {"operator": "EXISTS", "path": path, **_show_note(notes.get(attribute_note_key(path)))},
        }
        for path in flow.attributes
    ]
    return {"profileSelectors": {"selectors": paths}, "segmentSelectors": {"selectors": segments}}


def _show_note(note: Note | None) -> dict[str, str]:
    """Show the note on an attribute, whose times are nowhere else."""
    if note is None:
        return {}
    return _words(note) | {"createTime": str(note.create_time), "updateTime": str(note.update_time)}


def _words(note: Note | None) -> dict[str, str]:
    words = {} if note is None else {"name": note.name, "description": note.description}
    return {name: text for name, text in words.items() if text is not None}


def _times(mapping: AudienceMapping) -> dict[str, str]:
    """Show the times of a mapping (contract C6); one that is not known is left out."""
    times = {"createTime": mapping.created_at, "updateTime": mapping.updated_at}
    return {name: str(parse_time(time)) for name, time in times.items() if time is not None}
