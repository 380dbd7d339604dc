"""Index the flows by what they map: an audience, a set of memberships or a patch finds those it can concern.

A catalog may have 100 flows of 250 audiences (M3). The index is compiled once with the catalog. What an event costs
here grows with what it touches, not with the flows there are.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from processor.core.json_values import MISSING
from schemas.paths import Path
from schemas.profile import REALIZED, Document, Memberships

Flows = int
"""A set of flows, a bit for each, the first flow's the lowest: two sets are one by `|`, however many are in them."""

_NOWHERE: Final[dict[str, Flows]] = {}


class PathNode:
    """A segment of mapped paths: the flows that map the path up to it, and those that map it or something below it."""

    __slots__ = ("at", "at_or_below", "children")

    def __init__(self) -> None:
        self.at: Flows = 0
        self.at_or_below: Flows = 0
        self.children: dict[str, PathNode] = {}


class FlowIndex:
    """Sets of flows that are complete, not exact: one may hold a flow that turns out not to be concerned.

    Not changed after it is built.
    """

    __slots__ = ("_by_audience", "_by_audience_ever", "_paths", "_without_gate")

    def __init__(self) -> None:
        self._by_audience: dict[str, dict[str, Flows]] = {}
        self._by_audience_ever: dict[str, dict[str, Flows]] = {}  # only those with the gate everQualified
        self._without_gate: Flows = 0
        self._paths: dict[str, PathNode] = {}

    def add(self, flow: Flows, mapped: Mapping[str, Iterable[str]], paths: Iterable[Path], gate: str) -> None:
        """Put in one flow: its bit, audience ids by namespace, attributes that can have an effect, and gate (A9)."""
        _add_audiences(self._by_audience, mapped, flow)
        if gate == "everQualified":
            _add_audiences(self._by_audience_ever, mapped, flow)
        if gate == "none":
            self._without_gate |= flow
        for path in paths:
            _add_path(self._paths, path, flow)

    def mapping(self, namespace: str, audience: str) -> Flows:
        """Return the flows that map the audience."""
        return self._by_audience.get(namespace, _NOWHERE).get(audience, 0)

    def realized(self, memberships: Memberships) -> Flows:
        """Return the flows that map an audience in which a profile of these memberships is realized."""
        return _mapping_any(self._by_audience, memberships, REALIZED)

    def letting_pass(self, memberships: Memberships) -> Flows:
        """Return the flows whose gate a profile of these memberships passes (A9)."""
        found = self._without_gate | self.realized(memberships)
        return found | _mapping_any(self._by_audience_ever, memberships, "") if self._by_audience_ever else found

    def written(self, patch: Document) -> Flows:
        """Return the flows that map what a patch writes, or what a document holds (A6)."""
        return _written(self._paths, patch)

    def changed(self, before: Document, after: Document, patch: Document | None) -> Flows:
        """Return the flows that map what has another value after an event.

        `patch`: what was merged into `before`, None where that is not known.
        """
        return _changed(self._paths, before, after, patch)


def _add_audiences(index: dict[str, dict[str, Flows]], mapped: Mapping[str, Iterable[str]], flow: Flows) -> None:
    for namespace, audiences in mapped.items():
        flows = index.setdefault(namespace, {})
        for audience in audiences:
            flows[audience] = flows.get(audience, 0) | flow


def _add_path(nodes: dict[str, PathNode], path: Path, flow: Flows) -> None:
    node: PathNode | None = None
    for segment in path:
        node = nodes.setdefault(segment, PathNode())
        node.at_or_below |= flow
        nodes = node.children
    if node is not None:
        node.at |= flow


def _mapping_any(index: dict[str, dict[str, Flows]], memberships: Memberships, above: str) -> Flows:
    """Return the flows that map an audience of which the profile has an entry greater than `above`."""
    found = 0
    for namespace, entries in memberships.items():
        flows = index.get(namespace, _NOWHERE)
        for audience in entries if len(entries) < len(flows) else flows:
            if audience in flows and audience in entries and entries[audience] > above:
                found |= flows[audience]
    return found


def _written(nodes: dict[str, PathNode], patch: dict[str, Any]) -> Flows:
    found = 0
    for name, value in patch.items():
        if name not in nodes:
            continue
        node = nodes[name]
        if type(value) is dict:  # merged into what is there: a write of the map, and of what it names below
            found |= node.at | _written(node.children, value)
        else:  # takes the place of all that was below
            found |= node.at_or_below
    return found


def _changed(
    nodes: dict[str, PathNode], before: dict[str, Any], after: dict[str, Any], patch: dict[str, Any] | None
) -> Flows:
    found = 0
    for name in nodes if patch is None else patch:
        if name not in nodes:
            continue
        was, now = before.get(name, MISSING), after.get(name, MISSING)
        if was is now or (was is not MISSING and now is not MISSING and orjson.dumps(was) == orjson.dumps(now)):
            continue
        node = nodes[name]
        if type(was) is dict and type(now) is dict:
            found |= node.at | _changed(node.children, was, now, _below(patch, name))
        else:
            found |= node.at_or_below
    return found


def _below(patch: dict[str, Any] | None, name: str) -> dict[str, Any] | None:
    value = None if patch is None else patch[name]
    return value if type(value) is dict else None
