"""Render what a record contains (contract section 4)."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from processor.core.catalog import Catalog, CompiledFlow, Extras, Tree
from processor.core.causes import Causes, find_realized
from processor.core.membership import Transition
from schemas.audience import DEFAULT_MERGE_POLICY
from schemas.profile import EXITED, REALIZED, Document, Profile, xdm_entry
from schemas.times import plus_days

LISTED_AFTER_EXIT_DAYS: Final = 30  # contract C2
_RENDERED_ENTRIES: Final = 65_536
_ABSENT: Final = ""
_NOTHING: Final[dict[str, Any]] = {}

Shown = dict[str, dict[str, Any]]
"""`segmentMembership` of a record: an entry is its JSON, rendered once for all that are equal, or an object with
extras.
"""


class _RenderedEntries(dict[str, orjson.Fragment]):
    """The JSON of entries: few distinct ones exist, each is rendered once. A look-up takes 35 ns, an lru_cache's 57."""

    def __missing__(self, entry: str) -> orjson.Fragment:
        if len(self) >= _RENDERED_ENTRIES:
            self.clear()
        rendered = self[entry] = orjson.Fragment(orjson.dumps(xdm_entry(entry)))
        return rendered


_JSON: Final = _RenderedEntries()


def render(flow: CompiledFlow, profile: Profile, time: str, causes: Causes, catalog: Catalog) -> Document:
    """Render the record of a profile as it stands after an event of `time`: nothing is renamed. Home of B3 and C7."""
    record = _attributes(flow.tree, profile.attributes, flow.options.allow_arrays)
    record["segmentMembership"] = _membership(flow, profile, time, causes, catalog)
    record["identityMap"] = render_identities(flow, profile)
    return record


def render_deletion(flow: CompiledFlow, profile: Profile, time: str, left: Causes) -> Document:
    """Return the last record of a profile: the audiences it leaves, exited now, and its identities (F3)."""
    return {
        "segmentMembership": render_exits(flow, left.segments, time),
        "identityMap": render_identities(flow, profile),
    }


def render_exits(flow: CompiledFlow, left: Iterable[Transition], time: str) -> Shown:
    """Render these audiences, mapped or not any more, as exited at `time`."""
    entry = EXITED + time
    membership: Shown = {}
    for namespace, audience, _ in left:
        membership.setdefault(namespace, {})[audience] = _shown(
            entry, flow.mapped.get(namespace, _NOTHING).get(audience, _NOTHING)
        )
    return membership


def _attributes(tree: Tree, document: Document, allow_arrays: bool) -> Document:
    """Return the mapped attributes that are there, at their paths, without empty parents. Home of B1 and B2."""
    rendered: Document = {}
    for segment, below in tree.items():
        if segment not in document:
            continue
        value = document[segment]
        if below is None:
            if allow_arrays or type(value) is not list:
                rendered[segment] = value
        elif type(value) is dict and (inside := _attributes(below, value, allow_arrays)):
            rendered[segment] = inside
    return rendered


def _membership(flow: CompiledFlow, profile: Profile, time: str, causes: Causes, catalog: Catalog) -> Shown:
    """Return the audiences that a record lists. Home of C1, C2 and C3.

    That is the mapped ones, exited at most 30 days ago; the unmapped ones of the causes' merge policies in which the
    profile is realized; and those of the causes, however old.
    """
    policies = _policies(flow, profile, causes, catalog)
    listed_since = EXITED + plus_days(time, -LISTED_AFTER_EXIT_DAYS)  # any realized entry is greater
    rendered: Shown = {}
    for namespace, entries in profile.memberships.items():
        listed = _of_policies(policies, entries, catalog.merge_policies(namespace))
        mapped = flow.mapped.get(namespace, _NOTHING)
        for audience in mapped if len(mapped) < len(entries) else entries:
            if audience in mapped and entries.get(audience, _ABSENT) >= listed_since:
                listed[audience] = _shown(entries[audience], mapped[audience])
        if listed:
            rendered[namespace] = listed
    for namespace, audience, _ in causes.segments:  # always, however old (C3)
        entry = profile.memberships[namespace][audience]
        rendered.setdefault(namespace, {})[audience] = _shown(entry, flow.mapped[namespace][audience])
    return rendered


def _of_policies(policies: set[str] | None, entries: dict[str, str], known: Mapping[str, str]) -> dict[str, Any]:
    """Return the audiences in which the profile is realized, of these merge policies (None: of any), mapped or not."""
    if policies is None or (DEFAULT_MERGE_POLICY in policies and not known):
        return {audience: _JSON[entry] for audience, entry in entries.items() if entry > REALIZED}
    if not policies:
        return {}
    return {
        audience: _JSON[entry]
        for audience, entry in entries.items()
        if entry > REALIZED and known.get(audience, DEFAULT_MERGE_POLICY) in policies
    }


def _policies(flow: CompiledFlow, profile: Profile, causes: Causes, catalog: Catalog) -> set[str] | None:
    """Return the merge policies whose unmapped audiences are listed (C2 b); None: every one."""
    scope = flow.options.membership_scope
    if scope == "all":
        return None
    if scope == "mapped":
        return set()
    if causes.segments:
        return {catalog.merge_policy(namespace, audience) for namespace, audience, _ in causes.segments}
    return {catalog.merge_policy(*key) for key in find_realized(flow.mapped, profile.memberships)}


def _shown(entry: str, extras: Extras) -> Any:
    return {**xdm_entry(entry), **extras} if extras else _JSON[entry]


def render_identities(flow: CompiledFlow, profile: Profile) -> dict[str, list[Any]]:
    """Render the `identityMap` of a record: every namespace, every identity, in the stored order. Home of D1."""
    stored = profile.identities
    options = flow.options
    if options.lowercase_namespaces:
        joined: dict[str, list[Any]] = {}
        for namespace in sorted(stored):
            joined.setdefault(namespace.lower(), []).extend(stored[namespace])
        stored = joined
    if options.identity_fields == "all":
        return stored
    return {namespace: [{"id": item["id"]} for item in items] for namespace, items in stored.items()}
