"""Find the text of one member of a JSON object, as it was written: parsing would lose its spelling."""

import re
from typing import Final

import orjson

_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}:,]')
_DEPTH: Final = {b"{": 1, b"[": 1, b"}": -1, b"]": -1}


def member_text(text: bytes, name: str) -> bytes:
    """Return the value of the member `name` of the object `text`, which is JSON; the last where it stands twice.

    Raises KeyError where the object has no such member.
    """
    found: bytes | None = None
    depth, key, start = 0, b"", 0
    for token in _TOKEN.finditer(text):
        sign = token.group()
        depth += _DEPTH.get(sign, 0)
        if depth == 1 and sign.startswith(b'"'):
            key = key if start else sign
        elif depth == 1 and sign == b":":
            start = token.end()
        elif start and (sign == b"," if depth == 1 else depth == 0):
            if orjson.loads(key) == name:
                found = text[start : token.start()].strip()
            start = 0
    if found is None:
        raise KeyError(name)
    return found
