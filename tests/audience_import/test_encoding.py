"""No encoding is guessed (contract M6): what is not UTF-8, nor UTF-16 with a mark, is refused.

The refusal shows a line as the likeliest encodings read it.
"""

from pathlib import Path

import pytest

from processor.audience_import.rows import SAMPLE_BYTES, ReadOptions
from processor.foundation.errors import UsageError
from tests.audience_import.files import read, rows_of

OF_ONE_CODE_PAGE = [
    ("windows-1252", "profileId,nombre\r\npeña-01,José\r\nmuñoz-02,María\r\n", "peña-01"),
    ("windows-1250", "profileId,imię\r\nżółw-01,Łukasz\r\nśnieg-02,Grażyna\r\n", "żółw-01"),
    ("windows-1251", "profileId;имя\r\nп-1;Иван\r\nп-2;Мария\r\n", "п-1"),
    ("mac_roman", "profileId,nombre\rpeña-01,José\rmuñoz-02,María\r", "peña-01"),
    ("cp932", "profileId,名前\r\n山-1,山田太郎\r\n", "山-1"),
    ("gbk", "profileId,姓名\r\n张-1,张伟\r\n王-2,王芳\r\n", "张-1"),
    ("cp850", "profileId,Straße\r\nmüller-1,Größe\r\n", "müller-1"),
]


@pytest.mark.parametrize(
    ("encoding", "text", "member"), OF_ONE_CODE_PAGE, ids=lambda value: value if str(value).isascii() else ""
)
def test_m6_a_code_page_is_refused_until_it_is_named(tmp_path: Path, encoding: str, text: str, member: str) -> None:
    with pytest.raises(UsageError) as refused:
        rows_of(tmp_path, text.encode(encoding))
    members, rejected = read(tmp_path, text.encode(encoding), ReadOptions(encoding=encoding))

    assert "not UTF-8, see line 2" in str(refused.value)
    assert f": {member}" in str(refused.value)
    assert "--encoding" in str(refused.value)
    assert (members[0], rejected) == (member, [])


def test_m6_the_likeliest_encodings_are_named_with_what_each_reads(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        rows_of(tmp_path, "profileId,nombre\r\npeña-01,José\r\nmuñoz-02,María\r\n".encode("cp1252"))

    told = str(refused.value).splitlines()
    assert any("windows-1252" in line and "peña-01" in line for line in told)
    assert any("windows-1250" in line and "peńa-01" in line for line in told)


@pytest.mark.parametrize("encoding", [None, "utf-8", "utf-8-sig"])
def test_m6_wrong_bytes_behind_the_sample_are_refused_too(tmp_path: Path, encoding: str | None) -> None:
    rows = "p-1,ordinary\n" * (SAMPLE_BYTES // 10)
    file = rows_of(tmp_path, f"profileId,name\n{rows}".encode() + b"pe\xf1a-01,x\n", ReadOptions(encoding=encoding))

    with pytest.raises(UsageError, match=f"not UTF-8, see line {SAMPLE_BYTES // 10 + 2};(?s:.*)windows-1252.*peña-01"):
        list(file)


@pytest.mark.parametrize("end", ["", "\n"])
def test_m6_a_character_that_the_sample_cuts_is_no_wrong_one(tmp_path: Path, end: str) -> None:
    head = "profileId,name\n" + "p-1,x\n" * ((SAMPLE_BYTES - 20) // 6)
    content = head + "p-2," + "é" * 200 + end

    members, rejected = read(tmp_path, content)

    assert (members[-1], rejected) == ("p-2", [])


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_m6_wide_characters_without_a_mark_are_refused_until_they_are_named(tmp_path: Path, encoding: str) -> None:
    content = "profileId,姓名\r\np-1,张伟\r\n".encode(encoding)

    with pytest.raises(UsageError, match=f"(?s){encoding}: p-1,张伟.*say --encoding {encoding}"):
        rows_of(tmp_path, content)
    assert read(tmp_path, content, ReadOptions(encoding=encoding)) == (["p-1"], [])


def test_m6_utf32_with_a_mark_is_not_taken_for_utf16(tmp_path: Path) -> None:
    content = "profileId\r\np-1\r\n".encode("utf-32")

    with pytest.raises(UsageError, match="it is UTF-32"):
        rows_of(tmp_path, content)
    assert read(tmp_path, content, ReadOptions(encoding="utf-32")) == (["p-1"], [])


def test_m6_a_mark_is_no_part_of_the_header_where_the_encoding_is_named(tmp_path: Path) -> None:
    for encoding, mark in (
        ("utf-8", "utf-8"),
        ("utf-16", "utf-16-le"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
    ):
        assert read(tmp_path, "\ufeffprofileId\np-1\n".encode(mark), ReadOptions(encoding=encoding)) == (["p-1"], [])


def test_m6_an_encoding_that_the_mark_contradicts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="byte order mark of UTF-8, and is not cp1252"):
        rows_of(tmp_path, "\ufeffprofileId\np-1\n".encode(), ReadOptions(encoding="cp1252"))
    with pytest.raises(UsageError, match="byte order mark of UTF-16, and is not utf-8"):
        rows_of(tmp_path, "profileId\np-1\n".encode("utf-16"), ReadOptions(encoding="utf-8"))


def test_m6_a_named_encoding_that_utf8_contradicts_is_a_warning(tmp_path: Path) -> None:
    spoilt = rows_of(tmp_path, "profileId\npeña\n", ReadOptions(encoding="cp1252"))
    right = rows_of(tmp_path, "profileId\npeña\n".encode("cp1252"), ReadOptions(encoding="cp1252"))

    assert spoilt.warnings == ["the file reads as UTF-8 too: is cp1252 right?"]
    assert right.warnings == []


@pytest.mark.parametrize("encoding", ["nonsense", "rot13", "base64", "a\0b", "ansi", ""])
def test_m6_an_encoding_that_there_is_none_of_is_refused(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(UsageError, match="is not known"):
        rows_of(tmp_path, "profileId\n", ReadOptions(encoding=encoding))


@pytest.mark.parametrize("rest", [b"\x00", b"\x00\xdc\n\x00"])
def test_m6_half_a_character_of_utf16_is_refused(tmp_path: Path, rest: bytes) -> None:
    with pytest.raises(UsageError, match="is not utf-16"):
        rows_of(tmp_path, "profileId\np-1\n".encode("utf-16") + rest)


def test_m6_a_byte_that_the_named_encoding_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it is not cp1252, see line 3"):
        rows_of(tmp_path, b"profileId,x\np-1,1\np-2,\x81\n", ReadOptions(encoding="cp1252"))
