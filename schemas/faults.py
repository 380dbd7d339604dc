"""What pydantic found wrong, in words, without the values: there may be secrets among them."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError


def faults_of(error: ValidationError, place: str = "", whole: str = "the body") -> list[str]:
    """A text each: where, below `place`, and what; `whole` names what has no place within."""
    errors: Iterable[Mapping[str, Any]] = error.errors(include_input=False, include_url=False, include_context=False)
    return [fault_text(fault, (*([place] if place else []), *fault["loc"]), whole) for fault in errors]


def fault_text(fault: Mapping[str, Any], place: Iterable[int | str], whole: str = "the body") -> str:
    """One of them."""
    where = ".".join(map(str, place))
    return f"{where or whole}: {str(fault['msg']).removeprefix('Value error, ')}"
