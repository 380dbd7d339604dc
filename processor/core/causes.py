"""Find why a record would leave: the causes of one event for one flow (A2 to A10, A13)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from processor.core.catalog import Attribute, CompiledFlow, is_own
from processor.core.changes import find_value, find_writes
from processor.core.fold import Change
from processor.core.json_values import is_same_json
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
        """Return the causes as a record lists them, sorted by code point. Home of A13."""
        texts = [f"segment:{namespace}/{audience}:{STATUS[letter]}" for namespace, audience, letter in self.segments]
        texts += [f"identity:{namespace}" for namespace in self.identities]
        texts += [attribute.cause for attribute in self.attributes]
        texts.sort()
        return tuple(texts)

    def allowed_by(self, triggers: Triggers) -> bool:
        """Return whether at least one cause is of a kind that is on. Home of A10."""
        return (
            (bool(self.attributes) and triggers.attributes)
            or (bool(self.identities) and triggers.identities)
            or any(
                triggers.segments if is_own(namespace) else triggers.external_segments
                for namespace, _, _ in self.segments
            )
        )


def find_segment_causes(flow: CompiledFlow, change: Change) -> Sequence[Transition]:
    """Return the transitions of audiences that the flow maps, and of no others. Home of A2 and A4."""
    if not change.transitions:
        return ()
    mapped = flow.mapped
    return [transition for transition in change.transitions if transition[1] in mapped.get(transition[0], _NO_ENTRIES)]


def find_attribute_causes(flow: CompiledFlow, change: Change, after: Document) -> Sequence[Attribute]:
    """Return the mapped attributes that the event wrote; with `suppressUnchanged`, those it changed. Home of A7.

    `after` are all attributes now.
    """
    before = change.before.attributes
    if flow.suppress_unchanged and before is after:
        return ()  # what an event writes again is shared, so nearly every event that changes nothing ends here
    found = find_writes(change, flow.attributes_by_root)
    if not flow.suppress_unchanged:
        return found
    return [
        attribute
        for attribute in found
        if not is_same_json(find_value(before, attribute.path), find_value(after, attribute.path))
    ]


def find_realized(mapped: Mapping[str, Mapping[str, Any]], memberships: Memberships) -> list[AudienceKey]:
    """Return the mapped audiences in which the profile is realized."""
    return [
        (namespace, audience)
        for namespace, audiences in mapped.items()
        if (entries := memberships.get(namespace))
        for audience in audiences
        if audience in entries and entries[audience] > REALIZED
    ]


def passes_gate(flow: CompiledFlow, memberships: Memberships) -> bool:
    """Return whether changes of identities and attributes count for these memberships. Home of A9."""
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
