"""The consent gate of a flow: an opt-out counts as leaving every mapped audience (contract F6).

Consent itself is not evaluated.

The option names attributes. A consent is one of XDM's values for it, by itself or as `val` of a map; absence is no
opt-out. Everything else that stands at one of the paths is an opt-out: what nobody knows must not count as a yes.

    opts out          the mapped audiences it was realized in are `exited` at the event's time, and cause a record
    is opted out      they stay `exited` for the flow, with the `lastQualificationTime` that is stored; nothing about
                      them is a cause
    opts in again     those it is realized in are `realized`, and cause a record
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from processor.core.catalog import CompiledFlow
from processor.core.changes import find_value
from processor.core.fold import Change
from processor.core.json_values import MISSING
from processor.core.membership import Transitions
from schemas.paths import Path
from schemas.profile import EXITED, REALIZED, Memberships, Profile

_NO_ENTRIES: Final[dict[str, str]] = {}
_CONSENTS: Final = frozenset(
    {"y", "dy", "li", "ct", "cp", "vi", "pi", "in", "true"}
)  # of XDM's consents and optInOut, in lower case


def opted_out(profile: Profile, gates: Sequence[Path]) -> bool:
    """Return whether the attribute at one of the paths is an opt-out."""
    return any(_is_opt_out(find_value(profile.attributes, gate)) for gate in gates)


def consented(flow: CompiledFlow, profile: Profile) -> Profile:
    """Return the profile as the flow may see it."""
    if not opted_out(profile, flow.consent_gates):
        return profile
    return _seen(flow, profile, None)


def as_consented(flow: CompiledFlow, change: Change) -> Change:
    """Return the change as the flow may see it: an opt-out has left every mapped audience. Home of F6.

    `change` itself where nobody is or was opted out.
    """
    before, after = change.before, change.after
    was_out = opted_out(before, flow.consent_gates)
    is_out = after is not None and opted_out(after, flow.consent_gates)
    if not (was_out or is_out):
        return change
    if was_out:
        before = _seen(flow, before, None)
    if after is not None and is_out:
        after = _seen(flow, after, None if was_out else change.event.time)
    transitions = [] if after is None else _transitions(flow, before.memberships, after.memberships)
    return Change(change.event, before, after, transitions, change.identities)


def _is_opt_out(value: Any) -> bool:
    if value is MISSING or value is True:
        return False
    if type(value) is dict:
        value = value.get("val")
        if value is True:
            return False
    return type(value) is not str or value.strip().lower() not in _CONSENTS


def _seen(flow: CompiledFlow, profile: Profile, left_at: str | None) -> Profile:
    """Return the profile out of every mapped audience; since `left_at`, or since whatever its entries say."""
    memberships: Memberships = dict(profile.memberships)
    for namespace, mapped in flow.mapped.items():
        entries = dict(memberships.get(namespace, _NO_ENTRIES))
        for audience, entry in entries.items():
            if audience in mapped and entry[0] == REALIZED:
                entries[audience] = EXITED + (left_at or entry[1:])
        if entries:
            memberships[namespace] = entries
    return replace(profile, memberships=memberships)


def _transitions(flow: CompiledFlow, before: Memberships, after: Memberships) -> Transitions:
    found: Transitions = []
    for namespace, mapped in flow.mapped.items():
        old, new = before.get(namespace, _NO_ENTRIES), after.get(namespace, _NO_ENTRIES)
        for audience, entry in new.items():
            if audience in mapped and entry[0] != old.get(audience, EXITED)[0]:
                found.append((namespace, audience, entry[0]))
    return found
