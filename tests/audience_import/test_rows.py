"""CSV files as people make them (contract M6): what each row names, or why it names nobody."""

from pathlib import Path

import pytest

from processor.audience_import.rejected import RejectedRow, RejectReason
from processor.audience_import.rows import ReadOptions, Rows
from processor.foundation.errors import UsageError
from tests.audience_import.files import read, rows_of


@pytest.mark.parametrize(
    ("content", "encoding", "delimiter", "members"),
    [
        (b"profileId\np-1\np-2\n", "utf-8", ",", ["p-1", "p-2"]),
        (b"\xef\xbb\xbfprofileId;name\r\np-1;Ada\r\n", "utf-8-sig", ";", ["p-1"]),
        ("name\tPROFILEID\nZoë\tp-é\n".encode("utf-16"), "utf-16", "\t", ["p-é"]),
        ("\ufeffprofileId,name\r\np-é,\U0001f600\r\n".encode("utf-16-be"), "utf-16", ",", ["p-é"]),
        (b'profileId,note\n"p,1","says ""hi"",\nand more"\n\n p-2 ,x\n', "utf-8", ",", ["p,1", "p-2"]),
        (b"profileId|x\np-1|1", "utf-8", "|", ["p-1"]),
        (b"profileId;x\rp-1;1\r\rp-2;2", "utf-8", ";", ["p-1", "p-2"]),  # of old Macs
        (b"\r\n \r\nprofileId\r\np-1\r\n", "utf-8", ",", ["p-1"]),
        (b'"profileId","a\nb"\np-1,x\n', "utf-8", ",", ["p-1"]),
        (
            b"profileId\nauth0|5f7c\nauth0|5f7d\n",
            "utf-8",
            ",",
            ["auth0|5f7c", "auth0|5f7d"],
        ),  # one column parts nothing
    ],
)
def test_m6_utf8_utf16_and_the_delimiter_are_found(
    tmp_path: Path, content: bytes, encoding: str, delimiter: str, members: list[str]
) -> None:
    rows = rows_of(tmp_path, content)

    assert (rows.dialect.encoding, rows.dialect.delimiter) == (encoding, delimiter)
    assert list(rows) == members


@pytest.mark.parametrize(
    "content",
    [
        b"sep=;\r\nprofileId;name\r\np-1;A\r\n",
        b"\xef\xbb\xbfsep=;\r\nprofileId;name\r\np-1;A\r\n",
        "sep=;\r\nprofileId;name\r\np-1;A\r\n".encode("utf-16"),
        "\ufeffSEP=;\r\nprofileId;name\r\np-1;A\r\n".encode("utf-16-be"),
        b'"sep=;"\r\nprofileId;name\r\np-1;A\r\n',
        b"sep=;;\rprofileId;name\rp-1;A\r",
        b"sep=;\n\nprofileId;name\np-1;A,B;\n",
    ],
)
def test_m6_a_line_sep_names_the_delimiter_and_is_no_header(tmp_path: Path, content: bytes) -> None:
    rows = rows_of(tmp_path, content)

    assert (rows.dialect.delimiter, rows.columns, list(rows)) == (";", ["profileId", "name"], ["p-1"])


@pytest.mark.parametrize(("sep", "delimiter"), [("\t", "\t"), ("\\t", "\t"), ("^", "^"), (",", ",")])
def test_m6_a_line_sep_may_name_any_character(tmp_path: Path, sep: str, delimiter: str) -> None:
    rows = rows_of(tmp_path, f"sep={sep}\nprofileId{delimiter}x\np-1{delimiter}y\n")

    assert (rows.dialect.delimiter, list(rows)) == (delimiter, ["p-1"])


@pytest.mark.parametrize("delimiter", list(",;\t|"))
@pytest.mark.parametrize("other", list(",;\t|"))
def test_m6_other_delimiters_in_names_of_the_header_mislead_nobody(tmp_path: Path, delimiter: str, other: str) -> None:
    quoted = delimiter.join((f'"a{other}b{other}c{other}d"', "profileId", "x"))

    rows = rows_of(tmp_path, f"{quoted}\n1{delimiter}p-1{delimiter}2\n")

    assert (rows.dialect.delimiter, list(rows)) == (delimiter, ["p-1"])


def test_m6_commas_in_the_names_of_a_table_of_tabs_mislead_nobody(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "profileId\tname, first\tlast, name\r\np-1\ta\tb\r\n")

    assert (rows.dialect.delimiter, rows.ignored, list(rows)) == ("\t", ["name, first", "last, name"], ["p-1"])


@pytest.mark.parametrize(
    ("content", "members"),
    [
        ("profileId\r\np-1,\r\np-2,\r\n", ["p-1", "p-2"]),  # on rows only
        ("profileId\np-1;\np-2;\n", ["p-1", "p-2"]),
        ("profileId\np-1\t\t\np-2\t\n", ["p-1", "p-2"]),
        ("profileId,name\np-1,A,,,\np-2,B\n", ["p-1", "p-2"]),
        ("profileId,name,\np-1,A\np-2,B,\np-3,C,no name\n", ["p-1", "p-2", "p-3"]),  # on the header only, or on both
        ("name;profileId\nA;p-1;\nB;p-2;\nC;p-3\n", ["p-1", "p-2", "p-3"]),
        ("name,profileId,x,y\nA,p-1\nB,p-2,1\n", ["p-1", "p-2"]),  # short rows that have the id
    ],
)
def test_m6_delimiters_at_the_end_and_short_rows_are_understood(
    tmp_path: Path, content: str, members: list[str]
) -> None:
    assert read(tmp_path, content) == (members, [])


def test_m6_a_row_that_is_shifted_by_a_delimiter_in_a_value_names_nobody(tmp_path: Path) -> None:
    content = "name,profileId,x\nAda,p-1,\nDoe, John,p-2,\nZoe\nBo,p-4,1,2\n"

    found = list(rows_of(tmp_path, content))

    assert [row for row in found if isinstance(row, str)] == ["p-1"]
    assert [(row.line, row.explanation) for row in found if isinstance(row, RejectedRow)] == [
        (3, "it has 4 columns, the header has 3: is a delimiter in a value that is not in quotes?"),
        (4, "it has 1 columns, and the id stands in column 2"),
        (5, "it has 4 columns, the header has 3: is a delimiter in a value that is not in quotes?"),
    ]


def test_m6_another_column_is_named_by_its_name_in_any_case(tmp_path: Path) -> None:
    content = "profileId,Loyalty Id\n1,p-1\n2,p-2\nx,loyalty id\n"

    assert read(tmp_path, content, ReadOptions(id_column=" loyalty ID")) == (
        ["p-1", "p-2"],
        [(4, RejectReason.HEADER_AGAIN)],
    )


def test_m6_of_names_that_differ_in_case_the_one_as_it_is_written_counts(tmp_path: Path) -> None:
    assert read(tmp_path, "ProfileID,profileId\na,b\n") == (["b"], [])


@pytest.mark.parametrize(
    ("content", "options", "told"),
    [
        ("", ReadOptions(), "is empty"),
        ("email\na@example.com\n", ReadOptions(), "no column profileId, but: email"),
        ("profile_id,name\np-1,A\n", ReadOptions(), "is profile_id meant.*--id-column profile_id"),
        ("Profile ID;name\np-1;A\n", ReadOptions(), "is Profile ID meant.*--id-column Profile ID"),
        ("crm_profile_id,name\np-1,A\n", ReadOptions(), "is crm_profile_id meant"),
        ("profileId^name\np-1^A\n", ReadOptions(), "--delimiter"),
        ("p-1\np-2\n", ReadOptions(), "first line must name the columns"),
        ("profileId,x,profileId\np-1,,p-2\n", ReadOptions(), "names profileId 2 times"),
        ("a,b\n1,2\n", ReadOptions(id_column="c"), "no column c, but: a, b"),
        ("namespace,ids\nECID,1\n", ReadOptions(), "columns namespace and id would do as well"),
        ('"profileId\np-1\n', ReadOptions(), "Nothing of the file is used"),
        ("profileId\n", ReadOptions(delimiter=";;"), "--delimiter ';;' is not one character"),
        ("profileId\n", ReadOptions(escape="\\\\"), "--escape .* is not one character"),
        ("profileId\n", ReadOptions(escape='"'), "stands for something else"),
        ("sep=;\nprofileId;x\n", ReadOptions(escape=";"), "is the delimiter"),
        ("profileId,x\n", ReadOptions(delimiter="\\t", escape="\t"), "is the delimiter"),
    ],
)
def test_m6_a_file_that_does_not_fit_is_refused_with_the_remedy(
    tmp_path: Path, content: str, options: ReadOptions, told: str
) -> None:
    with pytest.raises(UsageError, match=f"(?s)members.csv: .*{told}"):
        rows_of(tmp_path, content, options)


@pytest.mark.parametrize("spelling", ["\t", "\\t", "tab"])
def test_m6_a_delimiter_that_is_named_is_used(tmp_path: Path, spelling: str) -> None:
    rows = rows_of(tmp_path, "sep=;\nprofileId\ta;b;c\np-1\t2\n", ReadOptions(delimiter=spelling))

    assert (rows.dialect.delimiter, list(rows)) == ("\t", ["p-1"])


def test_m6_bytes_read_grow_to_the_whole_file(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "profileId\n" + "p-1\n" * 100_000)

    grown = [rows.bytes_read for _ in rows]

    assert 0 < grown[0] < grown[-1]
    assert rows.bytes_read == 10 + 4 * 100_000


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.csv: cannot be read: No such file"):
        Rows(tmp_path / "nowhere.csv")
