"""Find the encoding of a file: UTF-8, UTF-16 with a byte order mark, or the one that is named.

Nothing is guessed (contract M6).

Bytes that are something else end the import before anything is sent, with a row as the likeliest encodings read it: a
wrong guess would make a member of another person (0xf1 is ñ in windows-1252, and ń in windows-1250).
"""

import codecs
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from charset_normalizer import from_bytes

from processor.audience_import.rejected import shown
from processor.foundation.errors import UsageError

UTF8: Final = "utf-8"
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_WIDE_MARKS: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_WIDE: Final = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
"""UTF-32 reads as UTF-16 too, with a zero in each character."""
_LIKELY: Final = {
    "cp1252": "windows-1252",
    "cp1250": "windows-1250",
    "cp1251": "windows-1251",
    "mac_roman": "mac_roman",
    "cp932": "cp932 (Shift-JIS)",
    "gb18030": "gb18030 (GBK)",
    "big5": "big5",
    "cp949": "cp949 (EUC-KR)",
    "euc_jp": "euc_jp",
    "cp1253": "windows-1253",
    "cp1254": "windows-1254",
    "cp850": "cp850",
    "koi8_r": "koi8_r",
}
"""Python's name → how it is shown. In this order where they are equally likely."""
_SHOWN_READINGS: Final = 5
_JUDGED_LINES: Final = 200
_JUDGED_BYTES: Final = 64 * 1024
_LINE_CHARACTERS: Final = 100_000
_ORDINARY_CHARACTERS: Final = 4  # two letters of UTF-8 read as one of UTF-16 are none of these


class _BadLine(NamedTuple):
    number: int
    raw: bytes


def require_named(sample: bytes, encoding: str) -> None:
    """Raise UsageError unless `encoding` is one of text, and the file does not begin with the mark of another one."""
    try:
        codec = codecs.lookup(encoding)
    except (LookupError, ValueError):
        codec = None
    if codec is None or not codec._is_text_encoding:  # as open() asks: base64 and rot13 are codecs too
        raise UsageError(
            f"the encoding {shown(encoding)} is not known\n  name it with --encoding as utf-8, windows-1252, mac_roman,"
            " cp932 or utf-16-le"
        )
    for mark, of in ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), *_MARKS):
        if sample.startswith(mark):
            family = of.removesuffix("-sig")
            if not codec.name.startswith(family):
                raise UsageError(
                    f"it begins with the byte order mark of {family.upper()}, and is not {encoding}\n  leave out"
                    " --encoding"
                )
            return


def may_be_utf8(sample: bytes) -> bool:
    """Return whether the beginning of a file holds more than ASCII and reads as UTF-8; few other texts do."""
    try:
        codecs.getincrementaldecoder(UTF8)().decode(sample)
    except UnicodeDecodeError:
        return False
    return not sample.isascii()


def find_encoding(sample: bytes) -> str:
    """Return utf-8, utf-8-sig or utf-16 (with its mark); raises UsageError for every other one.

    `sample` is the file's beginning.
    """
    if sample.startswith(_WIDE_MARKS):
        raise _wide(sample, "utf-32")
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding
    if wide := _without_mark(sample):
        raise _wide(sample, wide)
    return UTF8


def explain_bytes(path: Path, encoding: str) -> UsageError:
    """Explain where a file is not in `encoding`, and how the likeliest encodings read that line.

    It is the first such line that is not the header.
    """
    bad = list(islice(_bad_lines(path, encoding), _JUDGED_LINES))
    name = UTF8.upper() if encoding in (UTF8, "utf-8-sig") else encoding
    if not bad:
        return UsageError(
            f"it is not {name} to its end: is it cut off? Nothing of it is used\n  name its encoding with --encoding"
        )
    line = next((each for each in bad if each.number > 1), bad[0])
    readings = "".join(f"\n  {names}: {text}" for text, names in _readings(_judged(bad), line.raw).items())
    return UsageError(
        f"it is not {name}, see line {line.number}; nothing of it is used. The likeliest encodings read that line"
        f' so:{readings or " none"}\n  name the right one with --encoding, or save the file as "CSV UTF-8"'
    )


def _bad_lines(path: Path, encoding: str) -> Iterator[_BadLine]:
    """Yield the lines whose bytes are not of the encoding; end early where the line cannot be found."""
    written = UTF8 if encoding == "utf-8-sig" else encoding
    with path.open(encoding=encoding, errors="surrogateescape", newline="") as file:
        try:
            for number, line in enumerate(iter(lambda: file.readline(_LINE_CHARACTERS), ""), 1):
                if not line.isascii() and any("\udc80" <= each <= "\udcff" for each in line):
                    yield _BadLine(number, line.encode(written, "surrogateescape"))
        except UnicodeError:
            return


def _judged(lines: list[_BadLine]) -> bytes:
    size, judged = 0, list[bytes]()
    for line in lines:
        size += len(line.raw)
        if judged and size > _JUDGED_BYTES:
            break
        judged.append(line.raw)
    return b"".join(judged)


def _readings(raw: bytes, line: bytes) -> dict[str, str]:
    """Map each reading of `line` to the encodings that read it so; the likeliest first, judged by all of `raw`."""
    order = list(_LIKELY)
    matches = from_bytes(raw, cp_isolation=order, threshold=1.0, enable_fallback=False, preemptive_behaviour=False)
    found = {name: match.chaos for match in matches for name in match.could_be_from_charset if name in _LIKELY}
    readings: dict[str, str] = {}
    for name in sorted(found, key=lambda name: (round(found[name], 1), order.index(name))):
        text = shown(line.decode(name, errors="replace"))
        readings[text] = f"{readings[text]}, {_LIKELY[name]}" if text in readings else _LIKELY[name]
    return dict(islice(readings.items(), _SHOWN_READINGS))


def _without_mark(sample: bytes) -> str | None:
    """Return the encoding, of two or four bytes a character, in which a file begins without a mark.

    Its letters, delimiters and line ends hold zeros.
    """
    head = sample[:400]
    if b"\0" not in head:
        return None
    ordinary = {
        name: sum(each.isascii() and each.isprintable() for each in head.decode(name, errors="replace"))
        for name in _WIDE
    }
    best = max(_WIDE, key=lambda name: ordinary[name])
    return best if ordinary[best] >= _ORDINARY_CHARACTERS else None


def _wide(sample: bytes, encoding: str) -> UsageError:
    lines = sample[:4000].decode(encoding, errors="replace").lstrip("\ufeff").splitlines()
    shown_lines = "".join(f"\n  {encoding}: {shown(line)}" for line in lines[:2])
    what = "UTF-32" if "32" in encoding else "UTF-16 without a byte order mark"
    return UsageError(
        f"it is {what}; nothing of it is used. Its first lines are{shown_lines}\n"
        f"  say --encoding {encoding}, or save it as"
        " UTF-8"
    )
