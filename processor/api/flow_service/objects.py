"""Find objects as the Flow Service sees them: stored ones, and derived ones of flows that no client of it made.

Pure.

A flow hangs together with its connections (`attached`) as long as they lead where it delivers. A flow that `apply` sent
elsewhere no longer does, nor does one that never had any: then connections are derived from it, under ids that stay the
same as long as the flow's id does.
"""

from collections.abc import Iterator
from typing import NamedTuple

from processor.api.flow_service.derived import content_etag, derive_base, derive_id, derive_source, derive_target
from processor.api.flow_service.specs import STREAMING_FLOW
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
)
from schemas.destination import DefaultCredentials, Destination
from schemas.flow import Flow, Options


class LinkedConnection(NamedTuple):
    """A source or target connection that a flow uses, and the base connection below it."""

    id: str
    spec: SpecReference
    base_id: str
    base_spec: SpecReference


class Attached(NamedTuple):
    """A flow, and the connections that it uses."""

    flow: Kept[Flow]
    link: FlowLink
    source: LinkedConnection
    target: LinkedConnection
    created_at: int


def destination_of(connection: Connection, target: TargetConnection) -> Destination:
    """Return where flows of a target connection deliver; raise ValidationError, as where neither names a region."""
    params, credentials = target.params, connection.credentials or DefaultCredentials()
    # with a stream's ARN the region is its own: a base may serve several accounts and regions
    region = params.region or (connection.region if params.stream_arn is None else None)
    fields = {
        "stream": params.stream,
        "region": region,
        "streamArn": params.stream_arn,
        "endpointUrl": connection.endpoint_url,
    }
    named = {name: value for name, value in fields.items() if value is not None}
    return Destination.model_validate(
        {"type": "kinesis", **named, "credentials": credentials.model_dump(by_alias=True)}
    )


def options_of(options: Options, target: TargetConnection) -> Options:
    """Return a flow's options with those of its target connection, whose absent ones are the parity behaviour."""
    params = {name: getattr(target.params, name) for name in TARGET_OPTIONS}
    usual = Options()
    return options.model_copy(
        update={name: getattr(usual, name) if value is None else value for name, value in params.items()}
    )


class Objects:
    """The objects of a state, stored and derived."""

    def __init__(self, state: ControlState) -> None:
        self._state = state
        self._derived: dict[tuple[Kind, str], Kept[AnyObject]] = {}
        self._links: dict[str, FlowLink] = {}
        for flow_id, kept in state.flows.items():
            self._links[flow_id] = self._link_of(flow_id, kept)

    def find(self, kind: Kind, object_id: str) -> Kept[AnyObject] | None:
        """Return a connection of any kind; None where it does not exist."""
        return self._state.objects.get((kind, object_id)) or self._derived.get((kind, object_id))

    def all(self, kind: Kind) -> Iterator[tuple[str, Kept[AnyObject]]]:
        """Yield all connections of a kind, by id."""
        yield from ((object_id, kept) for (of, object_id), kept in self._state.objects.items() if of is kind)
        yield from ((object_id, kept) for (of, object_id), kept in self._derived.items() if of is kind)

    def flow(self, flow_id: str) -> Attached | None:
        """Return a flow with its connections; None where it does not exist."""
        if flow_id not in self._state.flows:
            return None
        link = self._links[flow_id]
        source = self._linked(Kind.SOURCE_CONNECTION, link.source_connection_id)
        target = self._linked(Kind.TARGET_CONNECTION, link.target_connection_id)
        kept, stored = self._state.flows[flow_id], self._state.objects.get((Kind.FLOW, flow_id))
        created_at = kept.created_at if stored is None else min(stored.created_at, kept.created_at)
        return Attached(kept, link, source, target, created_at)

    def base_spec(self, item: SourceConnection | TargetConnection) -> SpecReference:
        """Return the spec of the base connection below a connection."""
        base = self.find(Kind.CONNECTION, item.base_connection_id)
        return (
            base.item.connection_spec
            if base is not None and isinstance(base.item, Connection)
            else item.connection_spec
        )

    def _linked(self, kind: Kind, object_id: str) -> LinkedConnection:
        kept = self.find(kind, object_id)
        assert kept is not None
        assert isinstance(kept.item, SourceConnection | TargetConnection)
        return LinkedConnection(
            object_id, kept.item.connection_spec, kept.item.base_connection_id, self.base_spec(kept.item)
        )

    def flows(self) -> Iterator[tuple[str, Attached]]:
        """Yield all flows, by id."""
        for flow_id in self._state.flows:
            attached = self.flow(flow_id)
            assert attached is not None
            yield flow_id, attached

    def users(self, kind: Kind, object_id: str) -> list[str]:
        """List the flows that use a source or target connection, or the connections that use a base connection."""
        if kind is Kind.CONNECTION:
            above = (*self.all(Kind.SOURCE_CONNECTION), *self.all(Kind.TARGET_CONNECTION))
            return [user for user, kept in above if getattr(kept.item, "base_connection_id", None) == object_id]
        return [
            flow_id
            for flow_id, link in self._links.items()
            if object_id in (link.source_connection_id, link.target_connection_id)
        ]

    def store(self, draft: Draft, kind: Kind, object_id: str) -> None:
        """Store a derived object and the one it is based on, as they were shown, for whoever refers to them."""
        kept = self._derived.get((kind, object_id))
        if kept is not None:
            draft.keep_object(kind, object_id, kept)
        found = self.find(kind, object_id)
        if found is not None and isinstance(found.item, SourceConnection | TargetConnection):
            self.store(draft, Kind.CONNECTION, found.item.base_connection_id)

    def make_real(self, draft: Draft, flow_id: str) -> FlowLink:
        """Store what was derived for a flow, so that it can be changed, and return its link."""
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
            if self._leads_where_it_delivers(stored.item, kept.item):
                return stored.item
            notes = stored.item.notes
        link = self._derive(flow_id, kept)
        return link.model_copy(update={"notes": notes})

    def _leads_where_it_delivers(self, link: FlowLink, flow: Flow) -> bool:
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
        """Derive the connections of a flow, and return its link to them."""
        base = derive_base(kept.item)
        base_id = self._free_id(Kind.CONNECTION, flow_id, base)
        target = derive_target(kept.item, base_id)
        target_id = self._free_id(Kind.TARGET_CONNECTION, flow_id, target)
        source_base_id, source_base, source_id, source = derive_source()
        self._add(Kind.CONNECTION, base_id, base, kept)
        self._add(Kind.TARGET_CONNECTION, target_id, target, kept)
        self._add(Kind.CONNECTION, source_base_id, source_base, kept)
        self._add(Kind.SOURCE_CONNECTION, source_id, source, kept)
        return FlowLink(
            source_connection_id=source_id,
            target_connection_id=target_id,
            flow_spec=SpecReference(id=STREAMING_FLOW),
        )

    def _free_id(self, kind: Kind, flow_id: str, item: AnyObject) -> str:
        """Return the flow's own id, unless a stored object with that id has other content by now."""
        own = derive_id(kind, flow_id)
        stored = self._state.objects.get((kind, own))
        return own if stored is None or stored.item == item else derive_id(kind, f"{flow_id}/{content_etag(item)}")

    def _add(self, kind: Kind, object_id: str, item: AnyObject, of: Kept[Flow]) -> None:
        if (kind, object_id) not in self._state.objects and (kind, object_id) not in self._derived:
            self._derived[kind, object_id] = Kept(
                item, content_etag(item), of.created_at, of.updated_at, of.created_by, of.updated_by
            )
