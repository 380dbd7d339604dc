"""Filter, order and page a list of JSON objects, as the Flow Service does. Pure.

    property=name==X            property=id==a,b        a comma is "or", a repeated one "and"; quotes may be
    a path is dotted; what it finds in any item of a list counts, and `[]` after the list's name may show it
    orderby=-updatedAt          limit=20                continuationToken=…        nothing is doubled

Each object is held against each condition, so both are bounded: a URL of 64 KiB would hold ten thousand of either.
"""

import base64
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import orjson

from processor.api.errors import ApiError, Code

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100
MAX_CONDITIONS: Final = 20
MAX_CHARACTERS: Final = 4_096  # of one condition, an order or a token's position: a hundred ids
_OPERATORS: Final = ("==", "!=", "<=", ">=", "<", ">")
_MISSING: Final = object()
# a comma inside quotes parts nothing
_VALUE: Final = re.compile(r"""\s*"[^"]*"\s*(?=,|$)|\s*'[^']*'\s*(?=,|$)|[^,]+""")


class Query(NamedTuple):
    """The query of a list: its conditions, order and page."""

    properties: Sequence[str] = ()
    limit: int | None = None
    order_by: str | None = None
    only_count: bool = False
    token: str | None = None


class Page(NamedTuple):
    """A page of a list: `total` instead of items where only that was asked for; `next_token` where there are more."""

    items: Sequence[dict[str, Any]]
    next_token: str | None = None
    total: int | None = None


def select(objects: Iterable[dict[str, Any]], query: Query) -> Page:
    """Return the page that was asked for; raise ApiError."""
    after: _SortKey | None = None
    if query.token is not None:
        query, after = _continued(query, query.token)
    if query.only_count and query.limit is not None:
        raise ApiError(Code.COUNT_WITH_LIMIT, "count=true returns how many there are, all of them: leave limit out")
    limit = DEFAULT_LIMIT if query.limit is None else query.limit
    if not 1 <= limit <= MAX_LIMIT:
        raise ApiError(Code.BAD_PAGE, f"limit={limit}: 1 to {MAX_LIMIT} are allowed")
    if len(query.properties) > MAX_CONDITIONS:
        raise ApiError(
            Code.BAD_FILTER,
            f"property= stands there {len(query.properties)} times: {MAX_CONDITIONS} at most are allowed",
        )
    conditions = [_condition(text) for text in query.properties]
    found = [each for each in objects if all(_holds(each, condition) for condition in conditions)]
    if query.only_count:
        return Page((), total=len(found))
    return _page(found, query._replace(limit=limit), after)


class _Condition(NamedTuple):
    path: Sequence[str]
    operator: str
    values: frozenset[str]
    bound: float | None = None  # of < <= > >=: the one of its values that is the easiest to meet


def _condition(text: str) -> _Condition:
    if len(text) > MAX_CHARACTERS:
        raise ApiError(Code.BAD_FILTER, f"property={text[:40]}…: {MAX_CHARACTERS} characters at most are allowed")
    positions = [(text.index(operator), -len(operator), operator) for operator in _OPERATORS if operator in text]
    if not positions:
        raise ApiError(Code.BAD_FILTER, f"property={text}: there is none of the operators {' '.join(_OPERATORS)}")
    position, _, operator = min(positions)
    path, values = text[:position].strip(), text[position + len(operator) :]
    if not path or any(sign in path for sign in "=~!<>"):
        raise ApiError(
            Code.BAD_FILTER, f"property={text}: no property stands before {operator}, or the operator is unknown"
        )
    if values.startswith(("=", "~")):
        raise ApiError(Code.BAD_FILTER, f"property={text}: the operator {operator}{values[0]} is unknown")
    wanted = frozenset(_unquoted(value) for value in _VALUE.findall(values))
    numbers = [number for number in map(_number, wanted) if number is not None]
    bound = None if not numbers else max(numbers) if operator.startswith("<") else min(numbers)
    return _Condition(_steps(path), operator, wanted, bound)


def _steps(path: str) -> list[str]:
    """Return the steps of a dotted path; Adobe's clients write `[]` after a list's name for any item."""
    return [step.removesuffix("[]") for step in path.split(".")]


def _unquoted(value: str) -> str:
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _holds(each: dict[str, Any], condition: _Condition) -> bool:
    """Return whether an object fits a condition; one item of a list is enough, and a map fits nothing."""
    found = [value for value in _values(each, condition.path) if not isinstance(value, dict)]
    if condition.operator == "==":
        return any(_as_text(value) in condition.values for value in found)
    if condition.operator == "!=":
        return not any(_as_text(value) in condition.values for value in found)
    return condition.bound is not None and any(
        _compares(_number(value), condition.operator, condition.bound) for value in found
    )


def _values(each: Any, path: Sequence[str]) -> Iterator[Any]:
    if isinstance(each, list):
        for item in each:
            yield from _values(item, path)
    elif not path:
        yield each
    elif isinstance(each, dict) and path[0] in each:
        yield from _values(each[path[0]], path[1:])


def _value(each: Any, path: Sequence[str]) -> Any:
    return next(_values(each, path), _MISSING)


def _as_text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return orjson.dumps(value).decode()
    return str(value).strip('"')  # an etag has quotes inside


def _compares(one: float | None, operator: str, other: float) -> bool:
    return one is not None and {"<": one < other, ">": one > other, "<=": one <= other, ">=": one >= other}[operator]


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(number) else number


def _page(found: list[dict[str, Any]], query: Query, after: "_SortKey | None") -> Page:
    order_by = query.order_by if query.order_by is not None else "createdAt"
    descending, field = order_by.startswith("-"), order_by.lstrip("+- ")  # a + comes as a blank out of a URL
    if not field or len(field) > MAX_CHARACTERS:
        raise ApiError(Code.BAD_PAGE, f"orderby= names no property, or has more than {MAX_CHARACTERS} characters")
    ordered = sorted(found, key=lambda each: _sort_key(each, field), reverse=descending)
    if after is not None:
        ordered = [
            each
            for each in ordered
            if (_sort_key(each, field) < after if descending else _sort_key(each, field) > after)
        ]
    items, rest = ordered[: query.limit], ordered[query.limit :]
    return Page(items, _token(query, _sort_key(items[-1], field)) if rest else None)


_SortKey = tuple[int, float, str, str]


def _sort_key(each: dict[str, Any], field: str) -> _SortKey:
    """Sort numbers before texts, what is missing or a map last, and equal ones by id, so that no page repeats one."""
    value = _value(each, _steps(field))
    identity = str(each.get("id", ""))
    if isinstance(value, int | float):
        return 0, float(value), "", identity
    is_text = value is not _MISSING and not isinstance(value, dict)
    return (1, 0.0, _as_text(value)[:MAX_CHARACTERS], identity) if is_text else (2, 0.0, "", identity)


def _token(query: Query, position: _SortKey) -> str:
    fields = [list(query.properties), query.limit, query.order_by, position]
    return base64.urlsafe_b64encode(orjson.dumps(fields)).decode().rstrip("=")


def _continued(query: Query, token: str) -> tuple[Query, _SortKey]:
    """Return the query of the page before, and where it ended; the limit may be another one, the order may not."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        properties, limit, order_by, (group, number, text, identity) = orjson.loads(raw)
        position = (int(group), float(number), str(text), str(identity))
        before = Query(
            [str(each) for each in properties], int(limit), None if order_by is None else str(order_by), token=token
        )
    except (ValueError, TypeError, OverflowError):
        raise ApiError(Code.BAD_PAGE, "continuationToken is none that this list gave out") from None
    if query.order_by not in (None, before.order_by):
        raise ApiError(Code.BAD_PAGE, f"continuationToken belongs to a list with orderby={before.order_by}")
    return (
        before._replace(
            properties=query.properties or before.properties,
            limit=query.limit or before.limit,
            only_count=query.only_count,
        ),
        position,
    )
