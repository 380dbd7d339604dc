"""Flows and audiences as text: the form of a file, and what differs between two."""

from collections.abc import Iterator
from difflib import unified_diff
from typing import Any

import yaml


def yaml_of(item: Any) -> str:
    """As a file has it (contract 4b); ends with a line break."""
    text: str = yaml.safe_dump(item, sort_keys=False, allow_unicode=True)
    return text


def text_differences(before: Any, after: Any) -> Iterator[str]:
    """The lines that differ, with + or - before them, in the form of a file; nothing where either side is not there."""
    if before is None or after is None:
        return
    lines = unified_diff(yaml_of(before).splitlines(), yaml_of(after).splitlines(), lineterm="", n=0)
    yield from (line for line in lines if not line.startswith(("---", "+++", "@@")))
