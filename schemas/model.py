"""The base of all configuration, and its faults in words.

Names are camelCase, types are strict, unknown keys are faults, and nothing changes after it was checked. A fault never
quotes a value: it may be a secret.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from schemas.times import normal_time

_HALF_OF_A_PAIR: Final = re.compile("[\ud800-\udfff]")
MAX_FAULTS_TOLD: Final = 100
_MAX_STEP_CHARACTERS: Final = 200  # a name that nobody knows is quoted, and may be as long as the body
STORED: Final = "stored"
"""The context in which an object is read that was put into force before: bounds that came later do not hold for it."""


class Remarks(list[str]):
    """The context in which a new object is read: collects what its author should know, each as `<place>: <text>`."""


class Model(BaseModel):
    """Base of every configuration object."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)

    @model_validator(mode="after")
    def _require_text(self) -> Self:
        """Refuse half of a surrogate pair: JSON and YAML can write it, but nothing stored or sent can hold it."""
        for name in self.model_fields_set:
            value = getattr(self, name)
            for text in value if isinstance(value, tuple) else (value,):
                if (
                    isinstance(text, str) and not text.isascii() and _HALF_OF_A_PAIR.search(text)
                ):  # nearly all are ASCII, and known to be
                    raise ValueError(f"{to_camel(name)}: half of a surrogate pair (U+D800 to U+DFFF) is no text")
        return self


class NamedModel(Model):
    """Read by alias, and built here by name."""

    model_config = ConfigDict(populate_by_name=True)


Time = Annotated[str, AfterValidator(normal_time)]
"""A time in the contract's form, kept in the form of C8."""


def _none_as_empty(value: object) -> object:
    return () if value is None else tuple(value) if isinstance(value, list) else value


Items = BeforeValidator(_none_as_empty)
"""Marks a list: YAML's empty value is the empty list."""

Name = Annotated[str, Field(min_length=1, max_length=512)]


def dump_model(model: Model) -> dict[str, Any]:
    """Return a model as a JSON value, without what is not said."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def list_faults(error: ValidationError, place: str = "", whole: str = "the body") -> list[str]:
    """Return a text for each fault: where, below `place`, and what; `whole` names what has no place within.

    The first hundred, and how many more there are.
    """
    errors: Iterable[Mapping[str, Any]] = error.errors(include_input=False, include_url=False, include_context=False)
    told = (describe_fault(fault, (*([place] if place else []), *fault["loc"]), whole) for fault in errors)
    return first_faults(told, error.error_count())


def first_faults(told: Iterable[str], count: int) -> list[str]:
    """Return the first hundred of `count` texts, and how many more there are."""
    more = [f"and {count - MAX_FAULTS_TOLD} more faults"] if count > MAX_FAULTS_TOLD else []
    return [*islice(told, MAX_FAULTS_TOLD), *more]


def describe_fault(fault: Mapping[str, Any], place: Iterable[int | str], whole: str = "the body") -> str:
    """Return the text of one fault that pydantic found at `place`; `whole` names the object itself."""
    where = ".".join(str(step)[:_MAX_STEP_CHARACTERS] for step in place)
    told = f"{where or whole}: {str(fault['msg']).removeprefix('Value error, ')}"
    return told.encode(
        errors="backslashreplace"
    ).decode()  # a name may hold half of a surrogate pair, which nobody can write


def describe_record_fault(error: Exception) -> str:
    """Return what is wrong with a record of a topic, without its values."""
    if not isinstance(error, ValidationError):
        return "it is no JSON object of the right form" if not isinstance(error, KeyError) else f"it lacks {error}"
    return "; ".join(list_faults(error, whole="the record"))
