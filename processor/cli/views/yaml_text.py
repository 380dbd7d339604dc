"""Write flows and audiences as a file has them, and what differs between two."""

from collections.abc import Iterator
from difflib import unified_diff
from typing import Any

import yaml


def write_yaml(item: Any) -> str:
    """Write an item as a file has it (contract 4b), with a line break at the end."""
    text: str = yaml.safe_dump(item, sort_keys=False, allow_unicode=True)
    return text


def diff_yaml(before: Any, after: Any) -> Iterator[str]:
    """Yield the lines that differ, with + or - before them, as a file has them; none where a side is missing."""
    if before is None or after is None:
        return
    lines = unified_diff(write_yaml(before).splitlines(), write_yaml(after).splitlines(), lineterm="", n=0)
    yield from (line for line in lines if not line.startswith(("---", "+++", "@@")))
