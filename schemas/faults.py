"""What pydantic found wrong, in words, without the values: there may be secrets among them."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from pydantic import ValidationError

MAX_FAULTS_TOLD: Final = 100
_MAX_STEP_CHARACTERS: Final = 200  # a name that nobody knows is quoted, and may be as long as the body


def faults_of(error: ValidationError, place: str = "", whole: str = "the body") -> list[str]:
    """A text each: where, below `place`, and what; `whole` names what has no place within.

    The first hundred, and how many more there are.
    """
    errors: Iterable[Mapping[str, Any]] = error.errors(include_input=False, include_url=False, include_context=False)
    told = (fault_text(fault, (*([place] if place else []), *fault["loc"]), whole) for fault in errors)
    return first_faults(told, error.error_count())


def first_faults(told: Iterable[str], count: int) -> list[str]:
    """The first hundred of `count` texts, and how many more there are."""
    more = [f"and {count - MAX_FAULTS_TOLD} more faults"] if count > MAX_FAULTS_TOLD else []
    return [*islice(told, MAX_FAULTS_TOLD), *more]


def fault_text(fault: Mapping[str, Any], place: Iterable[int | str], whole: str = "the body") -> str:
    """One of them."""
    where = ".".join(str(step)[:_MAX_STEP_CHARACTERS] for step in place)
    told = f"{where or whole}: {str(fault['msg']).removeprefix('Value error, ')}"
    return told.encode(
        errors="backslashreplace"
    ).decode()  # a name may hold half of a surrogate pair, which nobody can write
