"""Find the flows that an event can concern; all others send nothing, for `decide.default_skip_reason`.

transition                flows that map the audience
write                     flows that map the path, one above it or one below
change of identities      flows whose gate the profile passes; where it is shut, a write is no cause either
deletion                  flows that map an audience in which the profile is realized
merge                     none
"""

from collections.abc import Sequence
from typing import Final

from processor.core.catalog import Catalog, CompiledFlow
from processor.core.flow_index import FlowIndex, Flows
from processor.core.fold import Change
from schemas.event import EventType

_PATCHED: Final = EventType.PATCHED
_REPLACED: Final = EventType.REPLACED
_MERGED: Final = EventType.MERGED


def find_concerned(change: Change, catalog: Catalog) -> Sequence[CompiledFlow]:
    """Return every enabled flow that may send something or has a reason of its own not to, as the catalog orders them.

    Where there are few, all that are enabled: to decide them costs less than to choose.
    """
    index = catalog.index
    return catalog.enabled if index is None else list_in_order(find_concerned_bits(change, index), catalog.enabled)


def find_concerned_bits(change: Change, index: FlowIndex) -> Flows:
    """Return every flow of an index that may send something or have a reason of its own not to."""
    after = change.after
    event_type = change.event.type
    if after is None:
        return 0 if event_type is _MERGED else index.realized(change.before.memberships)
    found = 0
    for namespace, audience, _ in change.transitions:
        found |= index.mapping(namespace, audience)
    if change.identities:
        return found | index.letting_pass(after.memberships)
    if event_type is _PATCHED:
        return found | index.written(change.event.data)
    if event_type is _REPLACED:
        return found | index.written(change.before.attributes) | index.written(after.attributes)
    return found


def list_in_order(flows: Flows, indexed: Sequence[CompiledFlow]) -> list[CompiledFlow]:
    """Return the flows of a set; `indexed` are those that its index was built of."""
    found = []
    while flows:
        first = flows & -flows
        found.append(indexed[first.bit_length() - 1])
        flows ^= first
    return found
