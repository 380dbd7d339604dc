"""Read the file of flows and audiences (contract 4b), checked as a whole: all faults at once (M4)."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from processor.files.yaml_lines import ValuePath, load_with_lines
from processor.foundation.errors import UsageError
from schemas.audience import Audience, warning_of_namespace
from schemas.flow import (
    ALWAYS_LEAVE,
    MAX_ATTRIBUTES_WITHOUT_WARNING,
    MAX_AUDIENCES_WITHOUT_WARNING,
    MAX_FLOWS,
    Flow,
)
from schemas.model import Model, Remarks
from schemas.paths import split_path

_SECTIONS: Final[dict[str, type[Model]]] = {"audiences": Audience, "flows": Flow}
_KEYS: Final[dict[type[Model], tuple[str, ...]]] = {Audience: ("namespace", "id"), Flow: ("id",)}
_UNION_TAGS: Final = frozenset({"default", "keys", "profile", "role"})
_REMEDIES: Final = {
    "secretKey": "give the secret as ${ENV_NAME}, never in clear",
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """The flows and audiences of a file, and warnings for its author."""

    flows: tuple[Flow, ...]
    audiences: tuple[Audience, ...]
    warnings: tuple[str, ...]


class ConfigurationError(UsageError):
    """An error: the file has faults, and nothing of it was used. `faults` are one text each."""

    def __init__(self, source: str, faults: Sequence[str]) -> None:
        super().__init__("\n".join([f"{source}: {len(faults)} fault{'s' if len(faults) > 1 else ''}", *faults]))
        self.faults = tuple(faults)


def read_configuration(path: Path) -> Configuration:
    """Read and check a file; raise UsageError, or ConfigurationError with every fault."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_configuration(text, str(path))


def parse_configuration(text: bytes, source: str) -> Configuration:
    """Check the text of a file; raise ConfigurationError with every fault, its path and line. Home of M4.

    `source` names the text in errors.
    """
    content, lines = load_with_lines(text, source)
    faults: list[tuple[ValuePath, str]] = []
    remarks: list[str] = []
    sections = _sections(content, faults)
    items = {name: list(_checked(name, model, sections[name], faults, remarks)) for name, model in _SECTIONS.items()}
    flows = [item for item in items["flows"] if isinstance(item, Flow)]
    if len(sections["flows"]) > MAX_FLOWS:
        faults.append((("flows",), f"{len(sections['flows'])} flows, {MAX_FLOWS} at most are allowed"))
    if faults:
        raise ConfigurationError(source, [_located(path, text, lines) for path, text in faults])
    audiences = [item for item in items["audiences"] if isinstance(item, Audience)]
    return Configuration(
        tuple(flows), tuple(audiences), (*remarks, *warnings_of(flows), *_warnings_of_audiences(audiences))
    )


def _sections(content: Any, faults: list[tuple[ValuePath, str]]) -> dict[str, list[Any]]:
    if not isinstance(content, dict):
        faults.append(((), "is not a mapping with the keys audiences and flows"))
        content = {}
    sections: dict[str, list[Any]] = {name: [] for name in _SECTIONS}
    for name, value in content.items():
        if name not in sections:
            faults.append(((name,), _unknown_key(name, list(sections))))
        elif isinstance(value, list):
            sections[name] = value
        elif value is not None:
            faults.append(((name,), "is not a list"))
    return sections


def _checked(
    name: str, model: type[Model], values: list[Any], faults: list[tuple[ValuePath, str]], remarks: list[str]
) -> Iterator[Model]:
    seen: dict[tuple[str, ...], int] = {}
    for index, value in enumerate(values):
        first = seen.setdefault(key, index) if (key := _key(model, value)) is not None else index
        if first != index:
            faults.append(((name, index), f"the same {name[:-1]} stands at {name}[{first}]"))
        of_this = Remarks()
        try:
            yield model.model_validate(value, context=of_this)
            remarks.extend(f"{name}[{index}].{remark}" for remark in dict.fromkeys(of_this))
        except ValidationError as error:
            faults.extend(((name, index, *_plain(fault["loc"])), _text(fault, model)) for fault in error.errors())


def _key(model: type[Model], value: Any) -> tuple[str, ...] | None:
    """Return the key that must not stand twice, also of an item with other faults; None where it has none."""
    fields = _KEYS[model]
    key = (
        tuple(value[field] for field in fields if isinstance(value.get(field), str)) if isinstance(value, dict) else ()
    )
    return key if len(key) == len(fields) else None


def _plain(path: ValuePath) -> ValuePath:
    """Return a path without pydantic's tag of the credentials' kind."""
    return tuple(
        step
        for index, step in enumerate(path)
        if not (index and path[index - 1] == "credentials" and step in _UNION_TAGS)
    )


def _text(fault: Any, model: type[Model]) -> str:
    name = str(fault["loc"][-1]) if fault["loc"] else ""
    if fault["type"] == "extra_forbidden":
        return _unknown_key(name, _known_keys(model, fault["loc"][:-1]))
    text = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] in ("model_type", "model_attributes_type"):
        text = "is not a mapping"
    elif fault["type"] == "string_type" and isinstance(fault["input"], bool | int | float):
        text = f"is {json.dumps(fault['input'])} and not a text; put it in quotes"
    return f"{text}; {_REMEDIES[name]}" if name in _REMEDIES else text


def _known_keys(model: type[Model], path: ValuePath) -> list[str]:
    fields = model.model_fields
    for step in path:
        inner = next((field.annotation for field in fields.values() if field.alias == step), None)
        if not (isinstance(inner, type) and issubclass(inner, Model)):
            return []
        fields = inner.model_fields
    return [field.alias or name for name, field in fields.items()]


def _unknown_key(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"unknown key{f'; did you mean {near[0]}?' if near else ''}"


def _located(path: ValuePath, text: str, lines: dict[ValuePath, int]) -> str:
    known = next((path[:end] for end in range(len(path), -1, -1) if path[:end] in lines), None)
    line = f"line {lines[known]}: " if known is not None else ""
    dotted = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
    return f"{line}{dotted or 'the file'}: {text}"


def warnings_of(flows: Sequence[Flow]) -> Iterator[str]:
    """Yield the warnings of M3 and M5, with their path, as flows[0].attributes."""
    for index, flow in enumerate(flows):
        yield from (f"flows[{index}].{warning}" for warning in _warnings_of_flow(flow))


def _warnings_of_flow(flow: Flow) -> Iterator[str]:
    for dotted in flow.attributes:
        root, *below = split_path(dotted)
        if root in ALWAYS_LEAVE:
            yield f"attributes: {dotted} has no effect: memberships and identities always leave"
        elif number := next((segment for segment in below if segment.isdecimal()), None):
            yield f"attributes: {dotted}: {number} is read as a member's name: nothing inside an array can be addressed"
    for what, count, most in (
        ("attributes", len(flow.attributes), MAX_ATTRIBUTES_WITHOUT_WARNING),
        ("audiences", len(flow.audiences), MAX_AUDIENCES_WITHOUT_WARNING),
    ):
        if count > most:
            yield f"{what}: {count} are mapped, more than {most}"
    yield from _of_namespaces("audiences", (mapping.namespace for mapping in flow.audiences))


def _warnings_of_audiences(audiences: Sequence[Audience]) -> Iterator[str]:
    for index, audience in enumerate(audiences):
        yield from _of_namespaces(f"audiences[{index}]", [audience.namespace])


def _of_namespaces(path: str, namespaces: Iterable[str]) -> Iterator[str]:
    for namespace in dict.fromkeys(namespaces):
        if (warning := warning_of_namespace(namespace)) is not None:
            yield f"{path}: {warning}"
