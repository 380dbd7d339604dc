"""What `apply` would change, before it changes anything. Pure.

in the file, not on the topic ── create        in both, different ── change (a new etag)
in both, equal ── unchanged                    on the topic only ── keep, or remove with --prune
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from processor.configuration import Configuration
from processor.errors import UsageError
from processor.kafka.catalog_records import (
    BadCatalogRecord,
    StoredFlow,
    audience_key,
    audience_value,
    flow_key,
    flow_value,
    read_audience,
    read_flow,
)
from schemas.flow import MAX_FLOWS, Flow


class Action(StrEnum):
    """What happens to one flow or audience."""

    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"
    UNCHANGED = "unchanged"
    KEEP = "keep"


class Write(NamedTuple):
    """One line of the plan; `value` is None for a tombstone, and where nothing is written."""

    kind: str
    name: str
    action: Action
    key: bytes
    value: bytes | None

    @property
    def writes(self) -> bool:
        """Whether a record is written for it."""
        return self.action in (Action.CREATE, Action.CHANGE, Action.REMOVE)


def plan(
    wanted: Configuration, flows: Mapping[bytes, bytes], audiences: Mapping[bytes, bytes], *, prune: bool, new_etag: Callable[[], str]
) -> list[Write]:
    """Audiences first, so that no flow is in force before what it names; `flows` and `audiences` are the topics' last values.

    Raises UsageError where more flows would be in force than are allowed (M3).
    """
    missing = Action.REMOVE if prune else Action.KEEP
    writes: list[Write] = []
    for audience in wanted.audiences:
        key = audience_key(audience.key)
        same = _same(audience, key, audiences, read_audience)
        writes.append(_write("audience", key, "/".join(audience.key), audiences, same, audience_value(audience)))
    for flow in wanted.flows:
        key = flow_key(flow.id)
        same = _same(flow, key, flows, _flow_only)
        writes.append(_write("flow", key, flow.id, flows, same, flow_value(StoredFlow(flow, new_etag()))))
    for kind, there in (("flow", flows), ("audience", audiences)):
        named = {write.key for write in writes if write.kind == kind}
        writes += [Write(kind, key.decode(errors="replace"), missing, key, None) for key in there if key not in named]
    _refuse_too_many(writes)
    return writes


def activated(wanted: Iterable[Flow], writes: Iterable[Write], flows: Mapping[bytes, bytes]) -> list[Flow]:
    """Those that will deliver where they did not before: new, enabled again, or to another destination."""
    written = {write.key for write in writes if write.kind == "flow" and write.action in (Action.CREATE, Action.CHANGE)}
    return [flow for flow in wanted if flow.enabled and flow_key(flow.id) in written and not _delivers_alike(flow, flows.get(flow_key(flow.id)))]


def _delivers_alike(flow: Flow, value: bytes | None) -> bool:
    try:
        before = None if value is None else read_flow(flow_key(flow.id), value).flow
    except BadCatalogRecord:
        return False
    return before is not None and before.enabled and before.destination == flow.destination


def _write(kind: str, key: bytes, name: str, there: Mapping[bytes, bytes], same: bool, value: bytes) -> Write:
    if same:
        return Write(kind, name, Action.UNCHANGED, key, None)
    return Write(kind, name, Action.CHANGE if key in there else Action.CREATE, key, value)


def _same(item: object, key: bytes, there: Mapping[bytes, bytes], read: Callable[[bytes, bytes], object]) -> bool:
    """Whether the topic says the same; what cannot be read is not the same, and is written over."""
    try:
        return key in there and read(key, there[key]) == item
    except BadCatalogRecord:
        return False


def _flow_only(key: bytes, value: bytes) -> object:
    return read_flow(key, value).flow


def _refuse_too_many(writes: list[Write]) -> None:
    left = [write.name for write in writes if write.kind == "flow" and write.action is not Action.REMOVE]
    if len(left) > MAX_FLOWS:
        kept = sum(write.action is Action.KEEP for write in writes if write.kind == "flow")
        raise UsageError(f"{len(left)} flows would be in force ({kept} of them not in the file), {MAX_FLOWS} at most are allowed")
