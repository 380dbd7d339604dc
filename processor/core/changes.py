"""Find what an event wrote: the mapped attributes, whatever their value (A6)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from processor.core.catalog import Attribute
from processor.core.fold import Change
from processor.core.json_values import MISSING
from schemas.event import EventType
from schemas.paths import Path
from schemas.profile import Document

_PATCHED: Final = EventType.PATCHED
_REPLACED: Final = EventType.REPLACED


def find_value(document: Any, path: Path) -> Any:
    """Return the value at a path, MISSING where there is none; nothing inside arrays is addressed (M3)."""
    for segment in path:
        if type(document) is not dict or segment not in document:
            return MISSING
        document = document[segment]
    return document


def find_writes(change: Change, mapped: Mapping[str, Sequence[Attribute]]) -> Sequence[Attribute]:
    """Return the attributes that the event wrote, whatever their value. Home of A6.

    `mapped` are all attributes, by the first segment of their path.
    """
    event, before = change.event, change.before.attributes
    if event.type is _PATCHED:
        data = event.data
        if mapped.keys().isdisjoint(data):  # most flows, of most events
            return ()
        return [
            attribute
            for root in data
            if root in mapped
            for attribute in mapped[root]
            if _patch_writes(data, attribute, before)
        ]
    if event.type is _REPLACED:
        after = change.after_attributes
        return [
            attribute
            for attributes in mapped.values()
            for attribute in attributes
            if _is_in(before, attribute) or _is_in(after, attribute)
        ]
    return ()


def _is_in(document: Document, attribute: Attribute) -> bool:
    return find_value(document, attribute.path) is not MISSING


def _patch_writes(patch: Document, attribute: Attribute, before: Document) -> bool:
    """Return whether a patch writes an attribute, be it by removing it, or a map above it. Home of A8."""
    node: Any = patch
    for segment in attribute.above:
        node = node.get(segment, MISSING)
        if type(node) is not dict:  # what takes the place of a map writes all that was below it
            return node is not MISSING and _is_in(before, attribute)
    value = node.get(attribute.name, MISSING)
    if type(value) is dict:
        return _map_writes(value, find_value(before, attribute.path))
    if value is None:
        return _is_in(before, attribute)
    return value is not MISSING


def _map_writes(patch: dict[str, Any], old: Any) -> bool:
    """Return whether a map merged over `old` writes anything: a leaf, a removal of what is there, or the map itself."""
    if type(old) is not dict:
        return True
    for name, value in patch.items():
        if value is None:
            if name in old:
                return True
        elif type(value) is not dict or _map_writes(value, old.get(name, MISSING)):
            return True
    return False
