"""Files as people had them, and the right answer to each (contract M6)."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from processor.audience_import.rejected import RejectReason
from processor.audience_import.rows import ReadOptions
from processor.foundation.errors import UsageError
from tests.audience_import.files import read

AGAIN, UNSEEN = RejectReason.HEADER_AGAIN, RejectReason.UNSEEN_CHARACTER
ANY_ID = ReadOptions(any_id=True)


class Case(NamedTuple):
    """A file that is read: its members, and its rejected rows by line and reason."""

    content: str | bytes
    members: list[str]
    rejected: list[tuple[int, RejectReason]] = []  # noqa: RUF012  # it never changes
    options: ReadOptions = ReadOptions()


READ = {
    "ansi-es named": Case(
        "profileId,nombre\r\npeña-01,José\r\nmuñoz-02,María\r\n".encode("cp1252"),
        ["peña-01", "muñoz-02"],
        [],
        ReadOptions(encoding="cp1252"),
    ),
    "utf16-bom": Case(b"\xff\xfe" + "profileId\tname\r\np-1\tA\r\n".encode("utf-16-le"), ["p-1"]),
    "sep": Case("sep=;\r\nprofileId;name\r\np-1;A\r\n", ["p-1"]),
    "tsv-comma": Case("profileId\tname, first\tlast, name\r\np-1\ta\tb\r\n", ["p-1"]),
    "delim-in-name": Case('"a;b;c",profileId\r\nx,p-1\r\n', ["p-1"]),
    "trail-comma": Case("profileId\r\np-1,\r\np-2,\r\n", ["p-1", "p-2"]),
    "snake named": Case("profile_id,name\r\np-1,A\r\n", ["p-1"], [], ReadOptions(id_column="profile_id")),
    "backslash named": Case(
        'profileId,name\r\np-1,"Joe \\"The Man\\" S"\r\np-2,B\r\n', ["p-1", "p-2"], [], ReadOptions(escape="\\")
    ),
    "inner-quote": Case('profileId,name\r\np-1,"5" pipe"\r\np-2,B\r\n', ["p-2"], [(2, RejectReason.BROKEN_QUOTES)]),
    "header-twice": Case("profileId,name\r\np-1,A\r\nprofileId,name\r\np-2,B\r\n", ["p-1", "p-2"], [(3, AGAIN)]),
    "concat-bom": Case("\ufeffprofileId\r\np-1\r\n\ufeffprofileId\r\np-2\r\n", ["p-1", "p-2"], [(3, AGAIN)]),
    "concat of UTF-16": Case(
        "profileId\r\np-1\r\n".encode("utf-16") + "profileId\r\np-2\r\n".encode("utf-16"), ["p-1", "p-2"], [(3, AGAIN)]
    ),
    "sci": Case(
        "profileId,name\r\n1.23457E+12,A\r\n1.23457E+12,B\r\n1.45750E+37,C\r\n",
        [],
        [(line, RejectReason.SHORTENED_NUMBER) for line in (2, 3, 4)],
    ),
    "sci of other countries": Case("profileId;name\r\n1,23457E+12;A\r\n", [], [(2, RejectReason.SHORTENED_NUMBER)]),
    "sci taken": Case(
        "profileId,name\r\n1.23457E+12,A\r\n1.45750E+37,C\r\n", ["1.23457E+12", "1.45750E+37"], [], ANY_ID
    ),
    "null-words": Case(
        "profileId\r\nNULL\r\n#N/A\r\nnan\r\n\\N\r\n(null)\r\n#REF!\r\n",
        [],
        [
            (line, RejectReason.SPREADSHEET_ERROR if line in (3, 7) else RejectReason.WORD_FOR_NOTHING)
            for line in range(2, 8)
        ],
    ),
    "ctrl-z": Case("profileId\r\np-1\r\n\x1a", ["p-1"], [(3, UNSEEN)]),
    "ctrl-z of two columns": Case("name,profileId\r\nA,p-1\r\n\x1a", ["p-1"], [(3, RejectReason.NO_ID)]),
    "zwsp": Case("profileId\r\n\u200bp-1\r\np-2\u200e\r\n\ufeffp-3\r\n", [], [(line, UNSEEN) for line in (2, 3, 4)]),
    "nul": Case("profileId,x\np-1\0\0,1\np-2,\0\n", ["p-2"], [(2, UNSEEN)]),
}
REFUSED = {
    "ansi-es": (
        "profileId,nombre\r\npeña-01,José\r\nmuñoz-02,María\r\n".encode("cp1252"),
        "not UTF-8, see line 2.*windows-1252.*peña-01",
    ),
    "xlsx": (
        b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00\x21\x00" + bytes(range(1, 255)) * 4,
        "an Excel workbook.*CSV UTF-8",
    ),
    "snake": ("profile_id,name\r\np-1,A\r\n", "is profile_id meant.*--id-column profile_id"),
    "backslash": (
        'profileId,name\r\np-1,"Joe \\"The Man\\" S"\r\np-2,B\r\n',
        r"line 2: .*Joe \\\"The Man.*--escape '\\'",
    ),
}


@pytest.mark.parametrize("name", READ)
def test_m6_a_file_as_it_comes_names_its_members(tmp_path: Path, name: str) -> None:
    case = READ[name]

    assert read(tmp_path, case.content, case.options) == (case.members, case.rejected)


@pytest.mark.parametrize("name", REFUSED)
def test_m6_a_file_that_is_not_sure_is_refused_with_the_remedy(tmp_path: Path, name: str) -> None:
    content, told = REFUSED[name]

    with pytest.raises(UsageError) as refused:
        read(tmp_path, content)

    assert re.search(told, str(refused.value), re.DOTALL), str(refused.value)
