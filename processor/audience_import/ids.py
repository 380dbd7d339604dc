"""Judge an id of a file: is it an id, or what a spreadsheet or an export made of one (contract M6)? Pure.

Ordinary ids pass two tests: they have only printable ASCII, and they do not begin as anything suspicious does.
"""

import re
from typing import Final

from processor.audience_import.rejected import RejectReason, RowFault
from processor.core.profile_id import MAX_KEY_BYTES, fault_of_id, json_kind

_BLANKS: Final = " \t\r\n\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_SUSPICIOUS: Final = re.compile(r"""["#='\\({<\[]|[+-]?[0-9]+(?:[.,][0-9]*)?e|-?n|undefined$|sep=""", re.IGNORECASE)
_SHORTENED: Final = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]*E[+-]?[0-9]+|E[+-][0-9]+)", re.IGNORECASE)
"""`1E5` and `12E34567` are none: a spreadsheet always writes a sign, and codes of digits and an E are real ids."""
_ERROR: Final = re.compile(r"#\S*[!?]|#\w/\w|#NV|#GETTING_DATA|#+", re.IGNORECASE)
"""Excel's are translated: `#REF!` is `#BEZUG!` in German and `#¡REF!` in Spanish; but the `!` or `?` at the end stays.
"""
_FORMULA: Final = re.compile(r"=.+|'[-+=@0-9].*", re.DOTALL)
_NOTHING: Final = frozenset({"null", "(null)", "<null>", "[null]", "\\n", "nan", "-nan", "n/a", "<na>"})  # in any case
_NOTHING_EXACTLY: Final = frozenset({"None", "NA", "NaT", "undefined"})  # in another case they may be names
_UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_LOST: Final = "\ufffd"
_SEP: Final = re.compile(r"sep=(\\t|.)?", re.IGNORECASE)
_CTRL_Z: Final = "\x1a"
WORD_FOR_NOTHING: Final = RowFault(RejectReason.WORD_FOR_NOTHING, "it is what programs write where there is no id")


_HEADER_AGAIN: Final = RowFault(
    RejectReason.HEADER_AGAIN, "it is the header again: were files joined with their headers?"
)


def read_id(cell: str, header: str, *, any_id: bool = False) -> str | RowFault:
    """Return the id in a cell without the blanks around it, or why it is none.

    `header`: what the column is called, in lower case. `any_id` takes what only looks like an id that was spoilt, and
    never what no profile may be called.
    """
    profile_id = cell.strip(_BLANKS)
    if profile_id.isascii() and profile_id.isprintable() and _SUSPICIOUS.match(profile_id) is None:
        if not profile_id:
            return RowFault(RejectReason.NO_ID, "the id is empty")
        if profile_id.lower() != header or any_id:
            return profile_id if len(profile_id) <= MAX_KEY_BYTES else _too_long(profile_id)
    if not any_id and _without_unseen(profile_id).lower() == header:
        return _HEADER_AGAIN
    return _why_no_key(profile_id) or (not any_id and _why_spoilt(profile_id)) or profile_id


def read_identity_part(cell: str, name: str, *, any_id: bool = False) -> str | RowFault:
    """Return the namespace or the id of an identity in a cell, without the blanks around it, or why it is none.

    `name`: what the column is called, in lower case. It is judged as a profile id is, but for what no key may be: no
    record has it as its key.
    """
    text = cell.strip(_BLANKS)
    if not text:
        return RowFault(RejectReason.NO_ID, f"{name} is empty")
    fault = _why_no_part(text) or (None if any_id else _why_spoilt_part(text, name))
    return text if fault is None else fault._replace(explanation=f"{name}: {fault.explanation}")


def _why_no_part(text: str) -> RowFault | None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return RowFault(RejectReason.LOST_CHARACTER, "it holds half a character (a lone surrogate)")
    return None


def _why_spoilt_part(text: str, name: str) -> RowFault | None:
    return _HEADER_AGAIN if _without_unseen(text).lower() == name else _why_spoilt(text)


def _why_no_key(profile_id: str) -> RowFault | None:
    """Explain why no record may have the id as its key (contract I11): its event would become a dead letter."""
    try:
        size = len(profile_id.encode())
    except UnicodeEncodeError:
        return RowFault(RejectReason.BAD_KEY, "the id holds half a character (a lone surrogate)")
    if size > MAX_KEY_BYTES:
        return _too_long(profile_id)
    fault = fault_of_id(profile_id)
    if fault is None:
        return None
    # Blanks that people see are off already: what is no JSON has a character that nobody sees.
    reason = RejectReason.BAD_KEY if json_kind(profile_id) else RejectReason.UNSEEN_CHARACTER
    return RowFault(reason, f"the id {fault}" + (": the end of a file of old tools" if _CTRL_Z in profile_id else ""))


def _why_spoilt(profile_id: str) -> RowFault | None:
    """Explain what a spreadsheet or an export made of the id."""
    if unseen := _UNSEEN.search(profile_id):
        return RowFault(RejectReason.UNSEEN_CHARACTER, f"it holds a character that nobody sees, {_code_point(unseen)}")
    if _SEP.fullmatch(profile_id):
        return RowFault(
            RejectReason.HEADER_AGAIN, "it is a line that names the delimiter: were files joined with their headers?"
        )
    if _LOST in profile_id:
        return RowFault(
            RejectReason.LOST_CHARACTER,
            "it holds U+FFFD: a program that read the file in a wrong encoding lost a character",
        )
    if profile_id.lower() in _NOTHING or profile_id in _NOTHING_EXACTLY:
        return WORD_FOR_NOTHING
    if _ERROR.fullmatch(profile_id):
        return RowFault(RejectReason.SPREADSHEET_ERROR, "it is an error of a spreadsheet's formula")
    if _SHORTENED.fullmatch(profile_id):
        return RowFault(
            RejectReason.SHORTENED_NUMBER,
            "a spreadsheet shortened the number, its other digits are lost: give the column the format Text",
        )
    if _FORMULA.fullmatch(profile_id):
        return RowFault(
            RejectReason.FORMULA, 'it is a spreadsheet\'s formula or text mark (as ="00123"): write the id alone'
        )
    return None


def _too_long(profile_id: str) -> RowFault:
    return RowFault(RejectReason.BAD_KEY, f"the id has {len(profile_id.encode())} bytes, {MAX_KEY_BYTES} are allowed")


def _without_unseen(text: str) -> str:
    return _UNSEEN.sub("", text).strip(_BLANKS)


def clean_name(name: str) -> str:
    """Return a column's name as it is compared: without blanks and unseen characters at its ends."""
    return _without_unseen(name)


def _code_point(found: re.Match[str]) -> str:
    return f"U+{ord(found.group()):04X}"
