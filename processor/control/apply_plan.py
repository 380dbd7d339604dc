"""The plan of `apply`: what it would change, before it changes anything. Pure.

in the file, not on the topic ── create        in both, different ── change (a new etag)
in both, equal ── unchanged                    on the topic only ── keep, or remove with --prune
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from processor.catalog.state import ControlState, Kept, Topic
from processor.control.draft import Draft
from processor.control.native import TooManyFlows
from processor.files.configuration import Configuration
from schemas.audience import Audience
from schemas.connection import Kind
from schemas.flow import MAX_FLOWS, Flow
from schemas.wire.audiences import audience_key
from schemas.wire.flows import flow_key


class Action(StrEnum):
    """An action of the plan for one flow or audience."""

    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"
    UNCHANGED = "unchanged"
    KEEP = "keep"


class Step(NamedTuple):
    """A step of the plan: a flow or an audience as it would be, and as it is (`before`).

    `item` None: it goes, or is kept as it is.
    """

    kind: str
    name: str
    action: Action
    item: Flow | Audience | None
    before: Flow | Audience | None = None

    @property
    def writes(self) -> bool:
        """Return whether the step changes something."""
        return self.action in (Action.CREATE, Action.CHANGE, Action.REMOVE)


def plan(wanted: Configuration, state: ControlState, *, prune: bool) -> list[Step]:
    """Compare a file with the state: audiences first, so that no flow is in force before what it names.

    What cannot be read on a topic is written over. Raises TooManyFlows where more flows would be in force than M3
    allows.
    """
    steps = [
        _step("audience", "/".join(each.key), each, state.audiences.get(each.key), _is_unreadable(state, each))
        for each in wanted.audiences
    ]
    steps += [
        _step("flow", each.id, each, state.flows.get(each.id), _is_unreadable(state, each)) for each in wanted.flows
    ]
    missing = Action.REMOVE if prune else Action.KEEP
    flows, audiences = {flow.id for flow in wanted.flows}, {audience.key for audience in wanted.audiences}
    steps += [Step("flow", name, missing, None, kept.item) for name, kept in state.flows.items() if name not in flows]
    steps += [
        Step("audience", "/".join(key), missing, None, kept.item)
        for key, kept in state.audiences.items()
        if key not in audiences
    ]
    _refuse_too_many(steps)
    return steps


def carry_out(draft: Draft, steps: Iterable[Step]) -> None:
    """Put what the plan writes into the draft."""
    for step in steps:
        if not step.writes:
            continue
        if isinstance(step.item, Flow):
            draft.put_flow(step.item)
        elif isinstance(step.item, Audience):
            draft.put_audience(step.item)
        elif isinstance(step.before, Flow):
            draft.delete_flow(step.before.id)
            draft.delete_object(Kind.FLOW, step.before.id)
        elif isinstance(step.before, Audience):
            draft.delete_audience(step.before.key)


def activated(steps: Iterable[Step]) -> list[Flow]:
    """Return the flows that will deliver where they did not before: new, enabled again, or to another destination."""
    return [
        step.item
        for step in steps
        if step.writes
        and isinstance(step.item, Flow)
        and step.item.enabled
        and not _delivers_alike(step.item, step.before)
    ]


def _delivers_alike(flow: Flow, before: Flow | Audience | None) -> bool:
    return isinstance(before, Flow) and before.enabled and before.destination == flow.destination


def _step(kind: str, name: str, item: Flow | Audience, kept: Kept[Any] | None, unreadable: bool) -> Step:
    if kept is None:
        return Step(kind, name, Action.CHANGE if unreadable else Action.CREATE, item)
    return Step(kind, name, Action.UNCHANGED if kept.item == item else Action.CHANGE, item, kept.item)


def _is_unreadable(state: ControlState, item: Flow | Audience) -> bool:
    place = (Topic.FLOWS, flow_key(item.id)) if isinstance(item, Flow) else (Topic.AUDIENCES, audience_key(item.key))
    return place in state.unreadable


def _refuse_too_many(steps: Iterable[Step]) -> None:
    left = [step for step in steps if step.kind == "flow" and step.action is not Action.REMOVE]
    if len(left) > MAX_FLOWS:
        raise TooManyFlows(len(left), sum(step.action is Action.KEEP for step in left))
