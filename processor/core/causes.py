"""Why a record would leave: the causes of one event for one flow (contract A2 to A10, A13)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from processor.core.catalog import Attribute, CompiledFlow, is_own
from processor.core.changes import value_at, written
from processor.core.fold import Change
from processor.core.json_values import same_json
from processor.core.membership import Transition
from schemas.audience import AudienceKey
from schemas.flow import Triggers
from schemas.profile import REALIZED, STATUS, Document, Memberships

_NO_ENTRIES: Final[dict[str, Any]] = {}


class Causes(NamedTuple):
    """Every cause, by kind: transitions of mapped audiences, identity namespaces, mapped attributes."""

    segments: Sequence[Transition]
    identities: Sequence[str]
    attributes: Sequence[Attribute]

    def texts(self) -> tuple[str, ...]:
        """The causes as a record lists them, sorted by code point (A13)."""
        texts = [f"segment:{namespace}/{audience}:{STATUS[letter]}" for namespace, audience, letter in self.segments]
        texts += [f"identity:{namespace}" for namespace in self.identities]
        texts += [attribute.cause for attribute in self.attributes]
        texts.sort()
        return tuple(texts)

    def allowed_by(self, triggers: Triggers) -> bool:
        """Whether at least one cause is of a kind that is on (A10)."""
        return (
            (bool(self.attributes) and triggers.attributes)
            or (bool(self.identities) and triggers.identities)
            or any(
                triggers.segments if is_own(namespace) else triggers.external_segments
                for namespace, _, _ in self.segments
            )
        )


def segment_causes(flow: CompiledFlow, change: Change) -> Sequence[Transition]:
    """The transitions of audiences that the flow maps (A2, A4)."""
    if not change.transitions:
        return ()
    mapped = flow.mapped
    return [transition for transition in change.transitions if transition[1] in mapped.get(transition[0], _NO_ENTRIES)]


def attribute_causes(flow: CompiledFlow, change: Change, after: Document) -> Sequence[Attribute]:
    """The mapped attributes that the event wrote (A6 to A8); with `suppressUnchanged`, those it changed.

    `after` are all now.
    """
    before = change.before.attributes
    if flow.suppress_unchanged and before is after:
        return ()  # what an event writes again is shared, so nearly every event that changes nothing ends here
    found = written(change, flow.attributes_by_root)
    if not flow.suppress_unchanged:
        return found
    return [
        attribute
        for attribute in found
        if not same_json(value_at(before, attribute.path), value_at(after, attribute.path))
    ]


def realized_in(mapped: Mapping[str, Mapping[str, Any]], memberships: Memberships) -> list[AudienceKey]:
    """The mapped audiences in which the profile is realized."""
    return [
        (namespace, audience)
        for namespace, audiences in mapped.items()
        if (entries := memberships.get(namespace))
        for audience in audiences
        if audience in entries and entries[audience] > REALIZED
    ]


def passes_gate(flow: CompiledFlow, memberships: Memberships) -> bool:
    """Whether changes of identities and attributes count for a profile with these memberships (A9)."""
    gate = flow.options.membership_gate
    if gate == "none":
        return True
    enough = REALIZED if gate == "realized" else ""
    for namespace, audiences in flow.mapped.items():
        entries = memberships.get(namespace, _NO_ENTRIES)
        for audience in audiences if len(audiences) < len(entries) else entries:
            if audience in audiences and audience in entries and entries[audience] > enough:
                return True
    return False
