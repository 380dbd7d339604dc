"""Read YAML or JSON text into plain values, with the line of every value, so that a fault can name it."""

from datetime import datetime
from typing import Any, Final

import orjson
import yaml

from processor.foundation.errors import UsageError
from schemas.times import BadTimeError, normal_time

ValuePath = tuple[str | int, ...]
"""The path to a value: keys and list indices."""

MAX_VALUES_BY_ALIASES: Final = 100_000
"""Values that aliases may stand for, in one file: ten lines of aliases of aliases are a billion otherwise."""
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"


def load_with_lines(text: bytes, source: str) -> tuple[Any, dict[ValuePath, int]]:
    """Return (value, line of each path, from 1); raise UsageError for what is neither JSON nor YAML."""
    lines: dict[ValuePath, int] = {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _load_yaml(text, source, lines), lines
    try:
        _load_yaml(text, source, lines)
    except UsageError:
        lines.clear()  # JSON that YAML cannot read, as with tabs: its faults are named by path alone
    return value, lines


class _BoundedLoader(yaml.SafeLoader):
    """A loader that refuses aliases that stand for too many values, or for what they are part of."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self._written = self._values = 0
        self._sizes: dict[int, int] = {}  # by node

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose the next node, and count what it stands for; raise MarkedYAMLError at the line of the alias."""
        before, is_alias = self._values, self.check_event(yaml.AliasEvent)
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # PyYAML's types leave this one out
        node = super().compose_node(parent, index)
        if is_alias:
            size = self._sizes.get(id(node))
            if size is None:
                raise yaml.MarkedYAMLError(problem="an alias of what it is part of", problem_mark=mark)
            self._values += size
            if self._values - self._written > MAX_VALUES_BY_ALIASES:
                problem = f"aliases stand for more than {MAX_VALUES_BY_ALIASES:,} values; write them out"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        else:
            self._written += 1
            self._values += 1
            self._sizes[id(node)] = self._values - before
        return node


def _load_yaml(text: bytes, source: str, lines: dict[ValuePath, int]) -> Any:
    try:
        loader = _BoundedLoader(text)
        node = loader.get_single_node()
        return None if node is None else _value(loader, node, (), lines)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise UsageError(f"{source}{line}: not YAML: {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{source}: not YAML: {error}") from None


def _value(loader: yaml.SafeLoader, node: yaml.Node, path: ValuePath, lines: dict[ValuePath, int]) -> Any:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, item, (*path, index), lines) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node, path, lines)
    try:
        value = loader.construct_object(node)
    except ValueError as error:  # a day that does not exist, a number that is none
        if node.tag == _TIMESTAMP:
            return str(node.value)
        raise yaml.MarkedYAMLError(problem=str(error), problem_mark=node.start_mark) from None
    return _time_text(node.value, value) if node.tag == _TIMESTAMP else value


def _mapping(
    loader: yaml.SafeLoader, node: yaml.MappingNode, path: ValuePath, lines: dict[ValuePath, int]
) -> dict[str, Any]:
    names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and names.count(key.value) > 1 and key.value != "<<":
            raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark)
    loader.flatten_mapping(node)
    return {str(key.value): _value(loader, value, (*path, str(key.value)), lines) for key, value in node.value}


def _time_text(written: str, value: Any) -> str:
    """Return an unquoted timestamp as text: as written in the contract's form, else as the same moment.

    Without an offset it is UTC, as in YAML.
    """
    try:
        return normal_time(written)
    except BadTimeError:
        if not isinstance(value, datetime):
            return written
        return value.replace(microsecond=0).isoformat() + ("" if value.tzinfo else "Z")
