"""What a record contains (contract section 4)."""

from typing import Any, Final

from processor.core.catalog import Catalog, CompiledFlow, Extras, Tree
from processor.core.causes import Causes, realized_in
from processor.core.membership import EXITED, REALIZED, Entries, Entry, Membership, plain_entry
from schemas.profile import Document
from schemas.times import plus_days

LISTED_AFTER_EXIT_DAYS: Final = 30  # contract C2
_PLAIN_FIELDS: Final = 2
_NOTHING: Final[dict[str, Any]] = {}


def render(flow: CompiledFlow, document: Document, time: str, causes: Causes, catalog: Catalog) -> Document:
    """The record of a profile that stands as `document` after an event of `time` (B1 to D1)."""
    record = _attributes(flow.tree, document, flow.options.allow_arrays)
    membership = document.get("segmentMembership", _NOTHING)
    record["segmentMembership"] = _membership(flow, membership, time, causes, catalog)
    record["identityMap"] = _identities(flow, document)
    return record


def render_deletion(flow: CompiledFlow, document: Document, time: str, left: Causes) -> Document:
    """The last record of a profile that was `document`: the audiences it leaves, exited now, and its identities (F3)."""
    entry = plain_entry(time, EXITED)
    membership: Membership = {}
    for namespace, audience, _ in left.segments:
        membership.setdefault(namespace, {})[audience] = _shown(entry, flow.mapped[namespace][audience])
    return {"segmentMembership": membership, "identityMap": _identities(flow, document)}


def _attributes(tree: Tree, document: Document, allow_arrays: bool) -> Document:
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


def _membership(flow: CompiledFlow, membership: Membership, time: str, causes: Causes, catalog: Catalog) -> Membership:
    policies = _policies(flow, membership, causes, catalog)
    listed_since = plus_days(time, -LISTED_AFTER_EXIT_DAYS)
    caused = {(namespace, audience) for namespace, audience, _ in causes.segments}
    rendered: Membership = {}
    for namespace, entries in membership.items():
        mapped = flow.mapped.get(namespace, _NOTHING)
        listed: Entries = {}
        for audience, entry in entries.items():
            realized = entry["status"] == REALIZED
            if audience in mapped:
                if realized or entry["lastQualificationTime"] >= listed_since or (namespace, audience) in caused:
                    listed[audience] = _shown(entry, mapped[audience])
            elif realized and (policies is None or catalog.merge_policy(namespace, audience) in policies):
                listed[audience] = _shown(entry, _NOTHING)
        if listed:
            rendered[namespace] = listed
    return rendered


def _policies(flow: CompiledFlow, membership: Membership, causes: Causes, catalog: Catalog) -> set[str] | None:
    """The merge policies whose unmapped audiences are listed (C2 b); None: every one."""
    scope = flow.options.membership_scope
    if scope == "all":
        return None
    if scope == "mapped":
        return set()
    if causes.segments:
        return {catalog.merge_policy(namespace, audience) for namespace, audience, _ in causes.segments}
    return {catalog.merge_policy(*key) for key in realized_in(flow, membership)}


def _shown(entry: Entry, extras: Extras) -> Entry:
    if extras:
        return {**plain_entry(entry["lastQualificationTime"], entry["status"]), **extras}
    return entry if len(entry) == _PLAIN_FIELDS else plain_entry(entry["lastQualificationTime"], entry["status"])


def _identities(flow: CompiledFlow, document: Document) -> dict[str, list[Any]]:
    stored = document.get("identityMap", _NOTHING)
    options = flow.options
    if options.lowercase_namespaces:
        joined: dict[str, list[Any]] = {}
        for namespace in sorted(stored):
            joined.setdefault(namespace.lower(), []).extend(stored[namespace])
        stored = joined
    if options.identity_fields == "all":
        return {namespace: items for namespace, items in stored.items() if items}
    return {namespace: [{"id": item["id"]} for item in items] for namespace, items in stored.items() if items}
