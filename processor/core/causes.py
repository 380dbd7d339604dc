"""Why a record would leave: the causes of one event for one flow (contract A2 to A10, A13)."""

from typing import Any, Final, NamedTuple

from processor.core.catalog import CompiledFlow, is_own
from processor.core.changes import is_written, value_at
from processor.core.fold import Change
from processor.core.json_values import same_json
from processor.core.membership import REALIZED, Membership, Transition
from schemas.audience import AudienceKey
from schemas.event import EventType
from schemas.flow import Triggers

_NO_ENTRIES: Final[dict[str, Any]] = {}


class Causes(NamedTuple):
    """Every cause, by kind: transitions of mapped audiences, identity namespaces, `attribute:<path>` texts."""

    segments: list[Transition]
    identities: list[str]
    attributes: list[str]

    def texts(self) -> tuple[str, ...]:
        """The causes as a record lists them, sorted by code point (A13)."""
        segments = [f"segment:{namespace}/{audience}:{status}" for namespace, audience, status in self.segments]
        identities = [f"identity:{namespace}" for namespace in self.identities]
        return tuple(sorted([*segments, *identities, *self.attributes]))

    def allowed_by(self, triggers: Triggers) -> bool:
        """Whether at least one cause is of a kind that is on (A10)."""
        return (
            (bool(self.attributes) and triggers.attributes)
            or (bool(self.identities) and triggers.identities)
            or any(triggers.segments if is_own(cause.namespace) else triggers.external_segments for cause in self.segments)
        )


def mapped_transitions(flow: CompiledFlow, change: Change) -> list[Transition]:
    """The transitions of audiences that the flow maps (A2, A4)."""
    mapped = flow.mapped
    return [cause for cause in change.transitions if cause.audience in mapped.get(cause.namespace, _NO_ENTRIES)]


def written_attributes(flow: CompiledFlow, change: Change) -> list[str]:
    """The mapped attributes that the event wrote, whatever their value (A6 to A8)."""
    by_root = flow.attributes_by_root
    roots = change.event.data if change.event.type is EventType.PATCHED else by_root
    return [
        attribute.cause
        for root in roots
        if root in by_root
        for attribute in by_root[root]
        if is_written(change, attribute.path)
    ]


def changed_only(flow: CompiledFlow, change: Change, written: list[str]) -> list[str]:
    """Of the attributes written, those whose JSON value changed (option `suppressUnchanged`)."""
    before, after = change.before_document, change.after_document
    paths = {attribute.cause: attribute.path for group in flow.attributes_by_root.values() for attribute in group}
    return [cause for cause in written if not same_json(value_at(before, paths[cause]), value_at(after, paths[cause]))]


def realized_in(flow: CompiledFlow, membership: Membership) -> list[AudienceKey]:
    """The mapped audiences in which the profile is realized."""
    return [
        (namespace, audience)
        for namespace, audiences in flow.mapped.items()
        if namespace in membership
        for audience in audiences
        if (entry := membership[namespace].get(audience)) is not None and entry["status"] == REALIZED
    ]


def passes_gate(flow: CompiledFlow, membership: Membership) -> bool:
    """Whether changes of identities and attributes count for a profile with these memberships (A9)."""
    gate = flow.options.membership_gate
    if gate == "none":
        return True
    if gate == "realized":
        return bool(realized_in(flow, membership))
    return any(
        audience in membership.get(namespace, _NO_ENTRIES)
        for namespace, audiences in flow.mapped.items()
        for audience in audiences
    )
