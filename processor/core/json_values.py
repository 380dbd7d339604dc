"""Compare and merge JSON values as the contract does.

1 equals 1.0 and true does not equal 1 (A6), a list is a multiset (A5), and a merge patch is RFC 7396's.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any, Final

import orjson

MISSING: Final = object()


def is_same_json(left: Any, right: Any) -> bool:
    """Return whether two parsed JSON values are equal."""
    if left is right:
        return True
    if left != right:
        return False
    # Python's == alone calls True and 1 equal; what is written alike is, at a tenth of the cost of canonical forms
    return orjson.dumps(left) == orjson.dumps(right) or canonical(left) == canonical(right)


def has_same_items(left: Sequence[Any], right: Sequence[Any]) -> bool:
    """Return whether two lists hold equal items equally often, in any order."""
    if len(left) != len(right):
        return False
    return is_same_json(left, right) or (
        len(left) > 1 and Counter(map(canonical, left)) == Counter(map(canonical, right))
    )


def canonical(value: Any) -> Hashable:
    """Return a hashable form, equal exactly for equal JSON values."""
    kind = type(value)
    if kind is dict:
        return frozenset((name, canonical(item)) for name, item in value.items())
    if kind is list:
        return tuple(map(canonical, value))
    if kind is bool:
        return (bool, value)  # a pair of a type and a value stands for no JSON value
    return value  # type: ignore[no-any-return]  # a string, number or None: hashable, and 1 == 1.0 as it should be


def merge_patch(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return `target` after a JSON Merge Patch (RFC 7396); `target` itself where the patch changes nothing.

    The result shares what the patch does not change. So an event that writes what is there already copies nothing, and
    `is` tells that nothing changed. Strings alone are compared: equal numbers may be written differently, and lists are
    rarely written again.
    """
    result = target
    value: Any  # compiled code takes its type from the first assignment
    for name, written in patch.items():
        old = result.get(name, MISSING)
        kind = type(written)
        if kind is dict:
            value = merge_patch(old if type(old) is dict else {}, written)
            if value is old:
                continue
        elif kind is str and written == old:
            continue
        elif written is None:
            if old is not MISSING:
                result = {kept: value for kept, value in result.items() if kept != name}
            continue
        else:
            value = written
        if result is target:
            result = dict(target)
        result[name] = value
    return result
