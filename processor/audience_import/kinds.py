"""Refuse a file that is no CSV, whatever it is called: a workbook, a compressed file, a page, a table (M6)."""

import codecs
import re
from typing import Final, NamedTuple

from processor.foundation.errors import UsageError


class _Kind(NamedTuple):
    begins: bytes
    what: str
    remedy: str


_SAVE: Final = 'open it in the program that made it, and save it as "CSV UTF-8"'
_UNPACK: Final = "unpack it, and give the CSV file that is in it"
_EXPORT: Final = "export the table as CSV in UTF-8"
_EXCEL: Final = "an Excel workbook"
_KINDS: Final = (
    _Kind(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"{_EXCEL} (.xls, or .xlsx with a password)", _SAVE),
    _Kind(b"\x09\x08\x10\x00\x00\x06\x05\x00", f"{_EXCEL} of old", _SAVE),
    _Kind(b"\x1f\x8b", "compressed by gzip", _UNPACK),
    _Kind(b"\x1f\x9d", "compressed by compress", _UNPACK),
    _Kind(b"BZh", "compressed by bzip2", _UNPACK),
    _Kind(b"\xfd7zXZ\x00", "compressed by xz", _UNPACK),
    _Kind(b"\x28\xb5\x2f\xfd", "compressed by zstd", _UNPACK),
    _Kind(b"\x04\x22\x4d\x18", "compressed by lz4", _UNPACK),
    _Kind(b"\xff\x06\x00\x00sNaPpY", "compressed by snappy", _UNPACK),
    _Kind(b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    _Kind(b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    _Kind(b"PAR1", "a Parquet file", _EXPORT),
    _Kind(b"ORC", "an ORC file", _EXPORT),
    _Kind(b"Obj\x01", "an Avro file", _EXPORT),
    _Kind(b"ARROW1", "an Arrow file", _EXPORT),
    _Kind(b"FEA1", "a Feather file", _EXPORT),
    _Kind(b"SQLite format 3\x00", "an SQLite database", _EXPORT),
    _Kind(b"%PDF", "a PDF document", _EXPORT),
    _Kind(b"{\\rtf", "an RTF document", _EXPORT),
    _Kind(b"\x89PNG", "a picture", _EXPORT),
    _Kind(b"\xff\xd8\xff", "a picture", _EXPORT),
    _Kind(b"-----BEGIN PGP", "encrypted or signed (PGP)", "decrypt it first"),
)
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_INSIDE: Final = (  # names in a zip archive are readable
    (b"opendocument.spreadsheet", "a LibreOffice spreadsheet (.ods)"),
    (b"opendocument", "a LibreOffice document"),
    (b"xl/", _EXCEL),
    (b"word/", "a Word document"),
    (b"ppt/", "a PowerPoint document"),
    (b"Index/", "a Numbers spreadsheet"),
    (b"[Content_Types].xml", _EXCEL),
)
_TAR: Final = slice(257, 262)
_OFFICE: Final = (b"\x06\x00", b"\x21\x00")  # flags and date, as Microsoft's programs write them into each entry
_EXCEL_MARKUP: Final = ("urn:schemas-microsoft-com:office", "excel.sheet", "<workbook")
_MARKUP: Final = re.compile(r"<(?:[a-z]+[\s>/]|[!?])", re.IGNORECASE)
_JSON: Final = re.compile(r"""\{\s*["}]|\[\s*[\[{"\]]""")


def require_csv(sample: bytes) -> None:
    """Raise UsageError for a file that is no CSV, with what it is and what to do; `sample` is its beginning."""
    found = _binary(sample) or _text(sample)
    if found is not None:
        what, remedy = found
        raise UsageError(f"it is {what}, and no CSV file; nothing of it is used\n  {remedy}")


def _binary(sample: bytes) -> tuple[str, str] | None:
    if sample.startswith(_ZIP):
        return _of_zip(sample)
    if sample[_TAR] == b"ustar":
        return "a tar archive", _UNPACK
    return next(((kind.what, kind.remedy) for kind in _KINDS if sample.startswith(kind.begins)), None)


def _of_zip(sample: bytes) -> tuple[str, str]:
    for name, what in _INSIDE:
        if name in sample:
            return what, _SAVE
    if (sample[6:8], sample[12:14]) == _OFFICE:
        return _EXCEL, _SAVE
    return "a zip archive", _UNPACK


def _text(sample: bytes) -> tuple[str, str] | None:
    is_utf16 = sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = sample[:4000].decode("utf-16" if is_utf16 else "utf-8-sig", errors="replace").lstrip("\ufeff \t\r\n").lower()
    if _MARKUP.match(text):
        if any(sign in text for sign in _EXCEL_MARKUP):
            return f"{_EXCEL}, written as XML or HTML", _SAVE
        return ("an HTML page" if "<html" in text or text.startswith(("<!doctype", "<table")) else "XML"), _EXPORT
    if _JSON.match(text):
        return "JSON", _EXPORT
    return None
