"""How configuration is read: camelCase names, strict types, no unknown keys, nothing changed after it was checked."""

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from schemas.times import normal_time

_HALF_OF_A_PAIR: Final = re.compile("[\ud800-\udfff]")
STORED: Final = "stored"
"""The context in which an object is read that was put into force before: bounds that came later do not hold for it."""


class Remarks(list[str]):
    """The context in which an object is read that is new: what its author should know is added, each as `<place>:
    <text>`.
    """


class Model(BaseModel):
    """Base of every configuration object."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)

    @model_validator(mode="after")
    def _require_text(self) -> Self:
        """Refuse half of a surrogate pair: JSON and YAML can write it, and nothing that is stored or sent can hold
        it.
        """
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
