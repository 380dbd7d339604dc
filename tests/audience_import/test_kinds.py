"""A file of another kind under the name of a CSV file is named as what it is (contract M6)."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest

from processor.audience_import.rows import ReadOptions
from processor.foundation.errors import UsageError
from tests.audience_import.files import rows_of

CSV = b"profileId\np-1\n"
MICROSOFT = b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00\x21\x00" + bytes(range(1, 255)) * 4


def zipped(**members: str) -> bytes:
    """A zip archive of these; `__` in a name is a slash."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/"), text, zipfile.ZIP_STORED if name == "mimetype" else None)
    return content.getvalue()


def tarred() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("members.csv"), io.BytesIO())
    return content.getvalue()


KINDS = [
    (MICROSOFT, "an Excel workbook, .*CSV UTF-8"),
    (zipped(_rels="x", xl__workbook="x"), "an Excel workbook, .*CSV UTF-8"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), "an Excel workbook .*CSV UTF-8"),
    (b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook>', "an Excel workbook, written as XML"),
    (b'<html xmlns:x="urn:schemas-microsoft-com:office:excel"><table>', "an Excel workbook, written as XML or HTML"),
    (
        zipped(mimetype="application/vnd.oasis.opendocument.spreadsheet", content="x"),
        "a LibreOffice spreadsheet .*CSV UTF-8",
    ),
    (zipped(Index__Document="x"), "a Numbers spreadsheet"),
    (zipped(word__document="x"), "a Word document"),
    (zipped(members="profileId"), "a zip archive, .*unpack"),
    (gzip.compress(CSV), "gzip.*unpack"),
    (bz2.compress(CSV), "bzip2.*unpack"),
    (lzma.compress(CSV), "xz.*unpack"),
    (b"\x28\xb5\x2f\xfd" + bytes(20), "zstd.*unpack"),
    (b"7z\xbc\xaf\x27\x1c" + bytes(20), "7z"),
    (tarred(), "a tar archive.*unpack"),
    (b"PAR1\x15\x04", "Parquet"),
    (b"Obj\x01\x04", "Avro"),
    (b"SQLite format 3\x00" + bytes(20), "SQLite"),
    (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
    (b"\r\n<!DOCTYPE html>\n<html><head><title>Sign in", "HTML"),
    (b"\xef\xbb\xbf<table><tr><td>profileId", "HTML"),
    ("<html><body>".encode("utf-16"), "HTML"),
    (b'<?xml version="1.0"?><rows><profileId/>', "XML"),
    (b'{"profileId":"p-1"}\n{"profileId":"p-2"}\n', "JSON"),
    (b'\xef\xbb\xbf { "profileId": "p-1"}', "JSON"),
    (b'[\n  {"profileId": "p-1"}]', "JSON"),
    (b'["profileId","name"]\n["p-1","A"]\n', "JSON"),
    (b"{\\rtf1 profileId", "RTF"),
    (b"-----BEGIN PGP MESSAGE-----\n", "PGP"),
]


@pytest.mark.parametrize(("content", "told"), KINDS, ids=[told[:24] for _, told in KINDS])
def test_m6_a_file_of_another_kind_is_named_with_what_to_do(tmp_path: Path, content: bytes, told: str) -> None:
    for options in (ReadOptions(), ReadOptions(encoding="cp1252")):
        with pytest.raises(UsageError, match=f"(?s)members.csv: it is .*{told}"):
            rows_of(tmp_path, content, options)


@pytest.mark.parametrize(
    "content",
    [
        b"[profileId],[name]\n",
        b"{profileId}\n",
        b"PK,profileId\np-1,x\n",
        b"BZ,profileId\n",
        b"<5,profileId\n",
        b"OR,profileId\n",
    ],
)
def test_m6_a_header_that_begins_as_another_kind_nearly_does_is_a_header(tmp_path: Path, content: bytes) -> None:
    rows_of(tmp_path, content, ReadOptions(id_column=content.decode().splitlines()[0].split(",")[0]))
