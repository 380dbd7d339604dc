"""Equality of JSON values: 1 equals 1.0, true does not equal 1 (contract A6), and a list as a multiset (A5)."""

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any


def same_json(left: Any, right: Any) -> bool:
    """Whether two parsed JSON values are equal."""
    if left is right:
        return True
    return bool(left == right) and canonical(left) == canonical(right)  # Python's == alone calls True and 1 equal


def same_items(left: Sequence[Any], right: Sequence[Any]) -> bool:
    """Whether two lists hold equal items equally often, in any order."""
    if len(left) != len(right):
        return False
    return same_json(left, right) or Counter(map(canonical, left)) == Counter(map(canonical, right))


def canonical(value: Any) -> Hashable:
    """A hashable form, equal exactly for equal JSON values."""
    kind = type(value)
    if kind is dict:
        return frozenset((name, canonical(item)) for name, item in value.items())
    if kind is list:
        return tuple(map(canonical, value))
    if kind is bool:
        return (bool, value)  # a pair of a type and a value stands for no JSON value
    return value  # type: ignore[no-any-return]  # a string, number or None: hashable, and 1 == 1.0 as it should be
