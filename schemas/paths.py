"""Read the paths of attributes: the contract's notation (M3), and the right path for one in another notation.

person.name.firstName          a path: members, separated by dots
xdm:person.xdm:name            the same with XDM's prefix, which is dropped
/person/name   $.person   emails[0].address   person.name.*   " a.b"      a fault, which shows the right path
"""

import re
from collections.abc import Iterator
from typing import Final

from schemas.xdm import PREFIX

Path = tuple[str, ...]
"""A dotted XDM path, split."""

_UNSEEN: Final = "\ufeff\u180e\u200b\u200c\u200d\u2060"  # what nobody sees, beside what `str.strip` takes away
_ROOT: Final = re.compile(r"\$(?=$|[.\[/])|#(?=/)")  # of JSONPath, and of a JSON Pointer in a URL
_INSIDE: Final = re.compile(r"""\[(?!\s*['"])(?!\s*[^\W\d]\w*\s*\])""")  # an index, a slice, a filter: no member's name
_STEP: Final = re.compile(
    r"""\[\s*(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>[^\]]*))\s*\]?|(?P<name>[^./\[]+)"""
)
_BARE: Final = re.compile(r"[^\W\d]\w*")


def split_path(dotted: str) -> Path:
    """Return the segments of a dotted XDM path; ValueError where one is empty. Home of M3."""
    segments = tuple(dotted.split("."))
    if not all(segments):
        raise ValueError("is not a dotted path: a segment is empty")
    return segments


def read_path(dotted: str) -> str:
    """Return the path without prefixes; raises ValueError for one in another notation, with the right one."""
    if (fault := fault_of_path(dotted)) is not None:
        raise ValueError(fault)
    return without_prefixes(dotted)


def without_prefixes(dotted: str) -> str:
    """Return the path without `xdm:` before its segments; one that is nothing else stays."""
    if PREFIX not in dotted:
        return dotted
    return ".".join(_without_prefix(segment) for segment in dotted.split("."))


def _without_prefix(segment: str) -> str:
    """Drop the prefix however often it stands there, so that a path that is read twice is the same path."""
    while segment.startswith(PREFIX) and segment != PREFIX:
        segment = segment.removeprefix(PREFIX)
    return segment


def fault_of_path(dotted: str) -> str | None:
    """Say why a text is no dotted path, and which path is meant; None where it is one. Home of M5."""
    reason = _reason(dotted)
    if reason is None:
        return None
    members, is_whole = _addressed(dotted)
    if not members:
        return f"is not a dotted path: {reason}; write the names of members, as person.name.firstName"
    text = f"is not a dotted path: {reason}; write {'.'.join(members)}" + ("" if is_whole else ", the whole of it")
    if _INSIDE.search(dotted):
        return f"{text} (an array leaves with the option allowArrays)"
    number = next((place for place, member in enumerate(members) if place and member.isdecimal()), None)
    return (
        text
        if number is None
        else f"{text}, or {'.'.join(members[:number])} where that is an array: nothing inside one can be addressed"
    )


def _reason(dotted: str) -> str | None:
    if _INSIDE.search(dotted):
        return "nothing inside an array can be addressed"
    if "*" in dotted:
        return "there are no wildcards, what is below a path leaves with it"
    if "[" in dotted or "/" in dotted:
        return "members are separated by dots"
    if _ROOT.match(_stripped(dotted)):
        return "a path begins with a member, and not with $"
    segments = dotted.split(".")
    if not all(_name(segment) for segment in segments):
        return "a segment is empty"
    return "a segment begins or ends with a blank" if any(_has_blanks(segment) for segment in segments) else None


def _has_blanks(segment: str) -> bool:
    name = _without_prefix(segment)
    return segment != _stripped(segment) or name != _stripped(name)


def _addressed(text: str) -> tuple[list[str], bool]:
    """Return the members that a text names, up to what cannot be addressed, and whether it names no more."""
    members: list[str] = []
    for member in _members(_stripped(text)):
        if member is None:
            return members, False
        if name := _name(member):
            members.append(name)
    return members, True


def _members(text: str) -> Iterator[str | None]:
    """Yield the members in their order.

    None stands for what is none, or cannot be addressed: an index, a wildcard, a name with a dot or a slash in it.
    """
    is_pointer = text.startswith(("/", "#/"))
    for step in _STEP.finditer(text, 1 if _ROOT.match(text) else 0):
        quoted = step["single"] if step["single"] is not None else step["double"]
        if quoted is not None:
            yield None if "." in quoted or "/" in quoted else quoted
        elif step["bare"] is not None:
            yield step["bare"].strip() if _BARE.fullmatch(step["bare"].strip()) else None
        elif "*" in step["name"] or (is_pointer and "~1" in step["name"]):
            yield None
        else:
            yield step["name"].replace("~0", "~") if is_pointer else step["name"]


def _name(member: str) -> str:
    """Return the name that a segment means; "" for one that is nothing but blanks and prefixes."""
    name = _without_prefix(_stripped(member))
    return "" if name == PREFIX else _stripped(name)


def _stripped(text: str) -> str:
    before = None
    while text != before:
        before, text = text, text.strip().strip(_UNSEEN)
    return text
