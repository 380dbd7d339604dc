"""CSV files as people make them."""

from pathlib import Path

import pytest

from processor.audience_import.identities import Identity
from processor.audience_import.rows import Rejected, Rows
from processor.errors import UsageError


def rows_of(folder: Path, content: bytes, **options: str) -> Rows:
    file = folder / "members.csv"
    file.write_bytes(content)
    return Rows(file, **options)


@pytest.mark.parametrize(
    ("content", "encoding", "delimiter", "members"),
    [
        (b"profileId\np-1\np-2\n", "utf-8", ",", ["p-1", "p-2"]),
        (b"\xef\xbb\xbfprofileId;name\r\np-1;Ada\r\n", "utf-8-sig", ";", ["p-1"]),
        ("name\tPROFILEID\nZoë\tp-é\n".encode("utf-16"), "utf-16", "\t", ["p-é"]),
        (b'profileId,note\n"p,1","says ""hi"",\nand more"\n\n p-2 ,x\n', "utf-8", ",", ["p,1", "p-2"]),
        (b"profileId|x\np-1|1", "utf-8", "|", ["p-1"]),
    ],
)
def test_encoding_and_delimiter_are_found(tmp_path: Path, content: bytes, encoding: str, delimiter: str, members: list[str]) -> None:
    rows = rows_of(tmp_path, content)

    assert rows.dialect == (encoding, delimiter)
    assert list(rows) == members


def test_an_old_encoding_is_found_and_can_be_named(tmp_path: Path) -> None:
    text = "profileId,Straße\n" + "".join(f"p-{number},Größe für Müller\n" for number in range(200))

    found, named = rows_of(tmp_path, text.encode("cp1252")), rows_of(tmp_path, text.encode("cp1252"), encoding="cp1252")

    assert len(list(found)) == len(list(named)) == 200
    assert named.ignored == ["Straße"]


def test_what_cannot_be_used_is_told_with_its_line_and_the_rest_goes_on(tmp_path: Path) -> None:
    content = b"profileId,x\np-1,1\n,2\np-3\n" + b"y" * 513 + b",4\n\xff\xfe,5\np-6,6\n"

    found = list(rows_of(tmp_path, content, encoding="utf-8"))

    assert [row for row in found if isinstance(row, str)] == ["p-1", "p-6"]
    rejected = [(row.line, row.reason) for row in found if isinstance(row, Rejected)]
    assert rejected == [
        (3, "profileId is empty"),
        (4, "it has 1 columns, the header has 2"),
        (5, "profileId has 513 bytes, 512 are allowed"),
        (6, "it is not utf-8"),
    ]


def test_m6_rows_name_members_by_identity_and_a_profile_id_beside_it_wins(tmp_path: Path) -> None:
    content = b"x,ID,Namespace,profileId\n1, a@b ,Email,\n2,c,,\n3,,Email,\n4,d,Email,p-4\n5,,,p-5\n6,,,\n7,\xff,Email,\n"

    rows = rows_of(tmp_path, content, encoding="utf-8")

    assert rows.ignored == ["x"]
    assert rows.names_identities
    assert list(rows) == [
        Identity(2, "Email", "a@b", "1, a@b ,Email,"),
        Rejected(3, "profileId and namespace are empty", "2,c,,"),
        Rejected(4, "profileId and id are empty", "3,,Email,"),
        "p-4",
        "p-5",
        Rejected(7, "profileId and namespace are empty", "6,,,"),
        Rejected(8, "it is not utf-8", "7,\udcff,Email,"),
    ]


def test_m6_a_row_without_its_identity_is_told_with_what_is_empty(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, b"namespace;id\nECID;\n;1\nECID;1\n")

    assert list(rows) == [Rejected(2, "id is empty", "ECID;"), Rejected(3, "namespace is empty", ";1"), Identity(4, "ECID", "1", "ECID;1")]


@pytest.mark.parametrize("content", [b'profileId,x\np-0,"Bob\n' + b"p-1,1\n" * 5000, b'"profileId\np-1\n', b'profileId,x\np-0,"a"b\np-1,1\n'])
def test_a_quote_that_swallows_others_ends_it_all(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UsageError, match="Nothing of the file is used"):
        list(rows_of(tmp_path, content))


@pytest.mark.parametrize(("options", "told"), [({"encoding": "nonsense"}, "not known"), ({"delimiter": ";;"}, "not one character")])
def test_an_encoding_or_delimiter_that_there_is_none_of_is_refused(tmp_path: Path, options: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        rows_of(tmp_path, b"profileId\n", **options)


def test_half_a_character_at_the_end_of_utf16_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not utf-16"):
        list(rows_of(tmp_path, "profileId\np-1\n".encode("utf-16") + b"\x00"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"email\na@example.com\n", "no column profileId, but: email"),
        (b"namespace,ids\nECID,1\n", "columns namespace and id would do as well"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        rows_of(tmp_path, content)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.csv: cannot be read: No such file"):
        Rows(tmp_path / "nowhere.csv")
