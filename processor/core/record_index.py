"""Find the disabled flows that have another record after an event than before it (F1).

Its cost grows with what the event changed.

    attributes     flows that map a path whose value is another one
    memberships    flows that map an audience whose entry is another one, and flows that list it unmapped (C2)
    identities     every flow
    new profile    every flow

Of these only flows that need to know. With the gate `realized` a flow owes nothing to a profile that is realized in
none of its audiences when it is enabled again, and has another record for one that is, whatever the record without them
was at the pause: so nothing need be kept of a profile before it is realized in one. With other gates that is not so.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import orjson

from processor.core.flow_index import FlowIndex, Flows
from processor.core.fold import Change
from schemas.audience import DEFAULT_MERGE_POLICY
from schemas.event import EventType
from schemas.profile import REALIZED, Identities, Memberships, Profile

_PATCHED: Final = EventType.PATCHED
_NO_ENTRIES: Final[dict[str, str]] = {}
_UNKNOWN: Final[Mapping[str, str]] = {}


class RecordIndex:
    """Sets of flows that are complete, not exact. Not changed after it is built. `flows`: by what they map."""

    __slots__ = ("_all", "_by_policy", "_listing_all", "_merge_policies", "_without_gate", "flows")

    def __init__(self, flows: FlowIndex, merge_policies: Mapping[str, Mapping[str, str]]) -> None:
        self.flows = flows
        self._merge_policies = merge_policies
        self._all: Flows = 0
        self._without_gate: Flows = 0  # those that may owe something to whom they have no member in
        self._listing_all: Flows = 0
        self._by_policy: dict[str, Flows] = {}

    def add(self, flow: Flows, gate: str, scope: str, policies: Iterable[str]) -> None:
        """Put in one flow: its bit, gate (A9), scope, and the merge policies of its audiences (C2)."""
        self._all |= flow
        if gate != "realized":
            self._without_gate |= flow
        if scope == "all":
            self._listing_all |= flow
        if scope == "adobe":
            for policy in policies:
                self._by_policy[policy] = self._by_policy.get(policy, 0) | flow

    def changed(self, change: Change, after: Profile) -> Flows:
        """Flows that have another record after the event, as far as they need to know."""
        before = change.before
        if before.version == 0 or _differ(before.identities, after.identities):
            found = self._all
        else:
            found = self._listing(before.memberships, after.memberships)
            if after.attributes is not before.attributes:
                patch = change.event.data if change.event.type is _PATCHED else None
                found |= self.flows.changed(before.attributes, after.attributes, patch)
        return found and found & self._owing(before.memberships, after.memberships)

    def _owing(self, before: Memberships, after: Memberships) -> Flows:
        found = self._without_gate | self.flows.realized(after)
        return found if before is after else found | self.flows.realized(before)

    def _listing(self, before: Memberships, after: Memberships) -> Flows:
        """Flows that list an audience whose entry is another one."""
        found = 0
        if before is after:
            return found
        for namespace in {**before, **after}:
            old, new = before.get(namespace, _NO_ENTRIES), after.get(namespace, _NO_ENTRIES)
            if old is new or old == new:
                continue
            for audience in {**old, **new}:
                was, now = old.get(audience, ""), new.get(audience, "")
                if was != now:
                    found |= self.flows.mapping(namespace, audience)
                    if was > REALIZED or now > REALIZED:
                        found |= self._listing_unmapped(namespace, audience)
        return found

    def _listing_unmapped(self, namespace: str, audience: str) -> Flows:
        if not self._by_policy:
            return self._listing_all
        policy = self._merge_policies.get(namespace, _UNKNOWN).get(audience, DEFAULT_MERGE_POLICY)
        return self._listing_all | self._by_policy.get(policy, 0)


def _differ(before: Identities, after: Identities) -> bool:
    return before is not after and orjson.dumps(before) != orjson.dumps(after)
