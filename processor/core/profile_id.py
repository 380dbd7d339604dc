"""Tell which text can be the id of a profile (I11): a record's key, and what people name on a command line.

A key that another serializer wrote (in quotes, as an object, as eight bytes of a number), or that has a blank at one
end, would begin a second profile beside the right one, without a word.
"""

import json
from typing import Final

from processor.core.unusable import Unusable
from schemas.dead_letter import DeadLetterReason

MAX_KEY_BYTES: Final = 512
_BLANK: Final = 0x20
_QUOTE: Final = 0x22
_BRACKET: Final = 0x5B
_BRACE: Final = 0x7B
_SHOWN_CHARACTERS: Final = 40
_KINDS: Final = {'"': "a text in quotes", "{": "an object", "[": "an array"}
_STRING_SERIALIZER: Final = "write the id itself, as Kafka's StringSerializer does"


def read_profile_id(key: bytes | None) -> str:
    """Return the profile id in a record's key; raises Unusable (`bad_key`), saying what the key looks like."""
    if not key:
        raise _bad_key("the record has no key: it must be the profile id")
    if len(key) > MAX_KEY_BYTES:
        raise _bad_key(f"the key has {len(key)} bytes, {MAX_KEY_BYTES} at most are allowed")
    try:
        text = key.decode()
    except UnicodeDecodeError as error:
        raise _bad_key(f"the key is not UTF-8: {error.reason} at {error.start}") from None
    # What is printable holds neither control characters nor any white space but the blank: nearly every key costs this
    # line and no more.
    if text.isprintable():
        first = key[0]
        # Comparisons one by one: compiled, they are faster than a set.
        plain = first != _BLANK and first != _QUOTE and first != _BRACKET and first != _BRACE  # noqa: PLR1714
        if plain and key[len(key) - 1] != _BLANK:
            return text
    fault = fault_of_id(text)
    if fault is not None:
        raise _bad_key(f"the key {fault}")
    return text


def fault_of_id(text: str) -> str | None:
    """Return why a text that is short enough is no profile id; None: it is one. Home of I11.

    The reason is the rest of a sentence about the text.
    """
    kind = json_kind(text)
    if kind is not None:
        return f"is {kind} as a JSON serializer writes it: {_shown(text)}; {_STRING_SERIALIZER}"
    for place, character in enumerate(text):
        if _is_control(character):
            return (
                f"holds the control character U+{ord(character):04X} at character {place + 1}: {_shown(text)};"
                f" {_of_bytes(text)}"
            )
    for end, character in (("begins", text[:1]), ("ends", text[-1:])):
        if character.isspace():
            return f"{end} with white space (U+{ord(character):04X}): {_shown(text)}; write the id without it"
    return None


def _bad_key(explanation: str) -> Unusable:
    return Unusable(DeadLetterReason.BAD_KEY, explanation)


def json_kind(text: str) -> str | None:
    """Return what a text is as a JSON serializer writes it, of what can be no id; None: nothing of the kind."""
    kind = _KINDS.get(text.lstrip()[:1])
    if kind is not None:
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return None
    return kind


def _is_control(character: str) -> bool:
    return character < " " or "\x7f" <= character <= "\x9f"


def _of_bytes(text: str) -> str:
    if text.startswith("\0"):
        return (
            "bytes of a number, or schema registry framing (a zero byte and four of an id), are no id;"
            f" {_STRING_SERIALIZER}"
        )
    return "an id holds none; write it without"


def _shown(text: str) -> str:
    return repr(text[:_SHOWN_CHARACTERS])
