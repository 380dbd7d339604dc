"""What an event changed beside memberships: identities (contract A5) and writes of attributes (A6)."""

from typing import Any, Final

from processor.core.fold import Change
from processor.core.json_values import same_items
from schemas.event import EventType
from schemas.flow import Path
from schemas.profile import Document

MISSING: Final = object()
_NO_IDENTITIES: Final[dict[str, Any]] = {}


def changed_identities(change: Change) -> list[str]:
    """The namespaces of `identityMap` in which an identity was added, removed or changed; a missing list is empty."""
    before = change.before_document.get("identityMap", _NO_IDENTITIES)
    after = change.after_document.get("identityMap", _NO_IDENTITIES)
    if before is after:
        return []
    return [
        namespace
        for namespace in {**before, **after}
        if not same_items(before.get(namespace, ()), after.get(namespace, ()))
    ]


def value_at(document: Any, path: Path) -> Any:
    """The value at a path, MISSING where there is none; nothing inside arrays is addressed (M3)."""
    for segment in path:
        if type(document) is not dict or segment not in document:
            return MISSING
        document = document[segment]
    return document


def is_written(change: Change, path: Path) -> bool:
    """Whether the event wrote the path, or anything below it, also with the same value (A6)."""
    event_type = change.event.type
    if event_type is EventType.PATCHED:
        return _patch_writes(change.event.data, path, change.before_document)
    if event_type is EventType.REPLACED:
        before, after = change.before_document, change.after_document
        return value_at(before, path) is not MISSING or value_at(after, path) is not MISSING
    return False


def _patch_writes(patch: Document, path: Path, before: Document) -> bool:
    node: Any = patch
    old: Any = before
    for depth, segment in enumerate(path, start=1):
        if segment not in node:
            return False
        node = node[segment]
        old = old.get(segment, MISSING) if type(old) is dict else MISSING
        if type(node) is not dict:
            ends_here = node is not None and depth == len(path)
            return ends_here or value_at(old, path[depth:]) is not MISSING
    return _map_writes(node, old)


def _map_writes(patch: dict[str, Any], old: Any) -> bool:
    """Whether a map merged over `old` writes anything: a leaf, a removal of what is there, or the map itself."""
    if type(old) is not dict:
        return True
    for name, value in patch.items():
        if value is None:
            if name in old:
                return True
        elif type(value) is not dict or _map_writes(value, old.get(name, MISSING)):
            return True
    return False
