"""What there is, as the Flow Service sees it: stored objects, and for flows that no client of it made, derived ones.

Pure.

A flow hangs together with its connections (`attached`) as long as they say where it delivers. A flow that `apply` sent
elsewhere no longer does, nor does one that never had any: then connections are derived from it, under ids that stay the
same as long as the flow's id does.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from processor.api.flow_service.specs import KINESIS, PROFILE_SERVICE, STREAMING_FLOW
from processor.catalog.state import ControlState, Kept
from processor.control.draft import Draft
from schemas.connection import (
    TARGET_OPTIONS,
    AnyObject,
    Connection,
    FlowLink,
    Kind,
    SourceConnection,
    SpecReference,
    TargetConnection,
    TargetParams,
)
from schemas.destination import DefaultCredentials, Destination
from schemas.flow import Flow, Options
from schemas.model import STORED, dump_model

_NAMES: Final = UUID("2f6c6d2e-5f0e-4a4b-9b39-0d3f0e8c7a11")  # ours, for derived ids
_THE_SOURCE: Final = "the source of flows that a file made"


class Hanging(NamedTuple):
    """A source or target connection that a flow hangs on, and the base connection below it."""

    id: str
    spec: SpecReference
    base_id: str
    base_spec: SpecReference


class Attached(NamedTuple):
    """A flow, and what it hangs together with."""

    flow: Kept[Flow]
    link: FlowLink
    source: Hanging
    target: Hanging
    created_at: int


def destination_of(connection: Connection, target: TargetConnection) -> Destination:
    """Where flows of this target connection deliver; raises ValidationError, as where neither names a region."""
    params, credentials = target.params, connection.credentials or DefaultCredentials()
    region = params.region or (
        connection.region if params.stream_arn is None else None
    )  # of several accounts and regions, a base may serve all
    said = {
        "stream": params.stream,
        "region": region,
        "streamArn": params.stream_arn,
        "endpointUrl": connection.endpoint_url,
    }
    place = {name: value for name, value in said.items() if value is not None}
    return Destination.model_validate(
        {"type": "kinesis", **place, "credentials": credentials.model_dump(by_alias=True)}
    )


def options_of(options: Options, target: TargetConnection) -> Options:
    """A flow's options with those of its target connection: what that does not say is the parity behaviour."""
    said = {name: getattr(target.params, name) for name in TARGET_OPTIONS}
    usual = Options()
    return options.model_copy(
        update={name: getattr(usual, name) if value is None else value for name, value in said.items()}
    )


class Objects:
    """All objects of a state."""

    def __init__(self, state: ControlState) -> None:
        self._state = state
        self._derived: dict[tuple[Kind, str], Kept[AnyObject]] = {}
        self._links: dict[str, FlowLink] = {}
        for flow_id, kept in state.flows.items():
            self._links[flow_id] = self._link_of(flow_id, kept)

    def find(self, kind: Kind, object_id: str) -> Kept[AnyObject] | None:
        """A connection of any kind; None where there is none."""
        return self._state.objects.get((kind, object_id)) or self._derived.get((kind, object_id))

    def all(self, kind: Kind) -> Iterator[tuple[str, Kept[AnyObject]]]:
        """All connections of a kind, by id."""
        yield from ((object_id, kept) for (of, object_id), kept in self._state.objects.items() if of is kind)
        yield from ((object_id, kept) for (of, object_id), kept in self._derived.items() if of is kind)

    def flow(self, flow_id: str) -> Attached | None:
        """A flow; None where there is none."""
        if flow_id not in self._state.flows:
            return None
        link = self._links[flow_id]
        source = self._hanging(Kind.SOURCE_CONNECTION, link.source_connection_id)
        target = self._hanging(Kind.TARGET_CONNECTION, link.target_connection_id)
        kept, stored = self._state.flows[flow_id], self._state.objects.get((Kind.FLOW, flow_id))
        created_at = kept.created_at if stored is None else min(stored.created_at, kept.created_at)
        return Attached(kept, link, source, target, created_at)

    def base_spec(self, item: SourceConnection | TargetConnection) -> SpecReference:
        """The spec of the base connection that a connection stands on."""
        base = self.find(Kind.CONNECTION, item.base_connection_id)
        return (
            base.item.connection_spec
            if base is not None and isinstance(base.item, Connection)
            else item.connection_spec
        )

    def _hanging(self, kind: Kind, object_id: str) -> Hanging:
        kept = self.find(kind, object_id)
        assert kept is not None
        assert isinstance(kept.item, SourceConnection | TargetConnection)
        return Hanging(object_id, kept.item.connection_spec, kept.item.base_connection_id, self.base_spec(kept.item))

    def flows(self) -> Iterator[tuple[str, Attached]]:
        """All flows, by id."""
        for flow_id in self._state.flows:
            attached = self.flow(flow_id)
            assert attached is not None
            yield flow_id, attached

    def users(self, kind: Kind, object_id: str) -> list[str]:
        """Flows that use a source or target connection; connections that use a base connection."""
        if kind is Kind.CONNECTION:
            above = (*self.all(Kind.SOURCE_CONNECTION), *self.all(Kind.TARGET_CONNECTION))
            return [user for user, kept in above if getattr(kept.item, "base_connection_id", None) == object_id]
        return [
            flow_id
            for flow_id, link in self._links.items()
            if object_id in (link.source_connection_id, link.target_connection_id)
        ]

    def store(self, draft: Draft, kind: Kind, object_id: str) -> None:
        """Store an object that was derived, and the one it is based on, as they were shown; whoever refers to it keeps
        it.
        """
        kept = self._derived.get((kind, object_id))
        if kept is not None:
            draft.keep_object(kind, object_id, kept)
        found = self.find(kind, object_id)
        if found is not None and isinstance(found.item, SourceConnection | TargetConnection):
            self.store(draft, Kind.CONNECTION, found.item.base_connection_id)

    def make_real(self, draft: Draft, flow_id: str) -> FlowLink:
        """Store what was derived for a flow, so that it can be changed; its link."""
        link = self._links[flow_id]
        for kind, object_id in (
            (Kind.SOURCE_CONNECTION, link.source_connection_id),
            (Kind.TARGET_CONNECTION, link.target_connection_id),
        ):
            self.store(draft, kind, object_id)
        draft.put_object(Kind.FLOW, flow_id, link)
        return link

    def _link_of(self, flow_id: str, kept: Kept[Flow]) -> FlowLink:
        stored = self._state.objects.get((Kind.FLOW, flow_id))
        notes = {}
        if stored is not None and isinstance(stored.item, FlowLink):
            if self._says_where_it_delivers(stored.item, kept.item):
                return stored.item
            notes = stored.item.notes
        link = self._derive(flow_id, kept)
        return link.model_copy(update={"notes": notes})

    def _says_where_it_delivers(self, link: FlowLink, flow: Flow) -> bool:
        target = self._state.objects.get((Kind.TARGET_CONNECTION, link.target_connection_id))
        source = self._state.objects.get((Kind.SOURCE_CONNECTION, link.source_connection_id))
        if target is None or source is None or not isinstance(target.item, TargetConnection):
            return False
        base = self._state.objects.get((Kind.CONNECTION, target.item.base_connection_id))
        if base is None or not isinstance(base.item, Connection):
            return False
        try:
            return (
                destination_of(base.item, target.item) == flow.destination
                and options_of(flow.options, target.item) == flow.options
            )
        except ValueError:
            return False

    def _derive(self, flow_id: str, kept: Kept[Flow]) -> FlowLink:
        flow, destination, options = kept.item, kept.item.destination, kept.item.options
        name = flow.name or flow.id
        place = {"region": destination.region, "endpoint_url": destination.endpoint_url}
        said_of_it = {
            "name": name,
            "connection_spec": SpecReference(id=KINESIS),
            "credentials": destination.credentials,
            **place,
        }
        base = Connection.model_validate(said_of_it, context=STORED)
        base_id = self._free_id(Kind.CONNECTION, flow_id, base)
        said = {
            option: getattr(options, option)
            for option in TARGET_OPTIONS
            if getattr(options, option) != getattr(Options(), option)
        }
        stream = {"stream": destination.stream, "region": destination.region}
        named = stream if destination.stream_arn is None else {"stream_arn": destination.stream_arn}
        params = TargetParams.model_validate(named | said, context=STORED)
        target = TargetConnection(
            name=name,
            base_connection_id=base_id,
            connection_spec=SpecReference(id=KINESIS),
            data={"format": "JSON"},
            params=params,
        )
        target_id = self._free_id(Kind.TARGET_CONNECTION, flow_id, target)
        self._add(Kind.CONNECTION, base_id, base, kept)
        self._add(Kind.TARGET_CONNECTION, target_id, target, kept)
        return FlowLink(
            source_connection_id=self._derive_source(kept),
            target_connection_id=target_id,
            flow_spec=SpecReference(id=STREAMING_FLOW),
        )

    def _derive_source(self, kept: Kept[Flow]) -> str:
        base_id, source_id = _id(Kind.CONNECTION, _THE_SOURCE), _id(Kind.SOURCE_CONNECTION, _THE_SOURCE)
        spec = SpecReference(id=PROFILE_SERVICE)
        self._add(Kind.CONNECTION, base_id, Connection(name="Profile Service", connection_spec=spec), kept)
        source = SourceConnection(
            name="Profile Service", base_connection_id=base_id, connection_spec=spec, data={"format": "json"}
        )
        self._add(Kind.SOURCE_CONNECTION, source_id, source, kept)
        return source_id

    def _free_id(self, kind: Kind, flow_id: str, item: AnyObject) -> str:
        """The flow's own, unless it is that of a stored object which says something else by now."""
        own = _id(kind, flow_id)
        stored = self._state.objects.get((kind, own))
        return own if stored is None or stored.item == item else _id(kind, f"{flow_id}/{_etag(item)}")

    def _add(self, kind: Kind, object_id: str, item: AnyObject, of: Kept[Flow]) -> None:
        if (kind, object_id) not in self._state.objects and (kind, object_id) not in self._derived:
            self._derived[kind, object_id] = Kept(
                item, _etag(item), of.created_at, of.updated_at, of.created_by, of.updated_by
            )


def _id(kind: Kind, name: str) -> str:
    return str(uuid5(_NAMES, f"{kind}/{name}"))


def _etag(item: AnyObject) -> str:
    """Of the content, which is all there is."""
    return sha256(repr(dump_model(item)).encode()).hexdigest()[:32]
