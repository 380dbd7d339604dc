"""What a spreadsheet or an export made of an id is no id (contract M6), and what no record may have as its key never is
(I11).
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.audience_import.ids import read_id
from processor.audience_import.rejected import SPOILT, RejectReason, RowFault
from processor.core.profile_id import MAX_KEY_BYTES

SPOILT_IDS = [
    *(
        (text, RejectReason.SHORTENED_NUMBER)
        for text in ("1.23457E+12", "1,23457E+12", "1.45750E+37", "1E+12", "1e+05", "-1.5e-07", "1.23457E12", "1.E+3")
    ),
    *(
        (text, RejectReason.WORD_FOR_NOTHING)
        for text in ("NULL", "null", "Null", "(null)", "(NULL)", "<null>", "\\N", "nan", "NaN", "-nan")
    ),
    *((text, RejectReason.WORD_FOR_NOTHING) for text in ("N/A", "n/a", "<NA>", "NA", "None", "NaT", "undefined")),
    *(
        (text, RejectReason.SPREADSHEET_ERROR)
        for text in ("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "########")
    ),
    *(
        (text, RejectReason.SPREADSHEET_ERROR)
        for text in ("#NV", "#BEZUG!", "#¡REF!", "#¿NOMBRE?", "#N/D", "#ЗНАЧ!", "#\u041d/\u0414")
    ),
    *((text, RejectReason.FORMULA) for text in ('="00123"', "=00123", '=HYPERLINK("x")', "=A1", "'00123")),
    *(
        (f"p{mark}1", RejectReason.UNSEEN_CHARACTER)
        for mark in "\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\ufeff\u00ad\u061c\u180e\u2028\u2066"
    ),
    *((text, RejectReason.UNSEEN_CHARACTER) for text in ("\u2060p-1", "p-1\u200e", "p-1\u00ad")),
    *((text, RejectReason.UNSEEN_CHARACTER) for text in ("\u200bp-1", "\ufeffp-1", "p-1\ufeff", "p-1\u200b", "\u200b")),
    *((text, RejectReason.HEADER_AGAIN) for text in ("sep=", "sep=;", "SEP=,", "sep=\\t")),
    ("pe\ufffda", RejectReason.LOST_CHARACTER),
    *(
        (text, RejectReason.HEADER_AGAIN)
        for text in ("profileId", "PROFILEID", " profileid ", "\ufeffprofileId", "\u200bprofileId")
    ),
]
NEVER_IDS = [
    *(
        (f"p{chr(code)}1", RejectReason.UNSEEN_CHARACTER)
        for code in (0, 1, 7, 9, 10, 13, 0x1A, 0x1B, 0x7F, 0x80, 0x85, 0x9F)
    ),
    *((text, RejectReason.UNSEEN_CHARACTER) for text in ("\x1a", "p-1\x1a", "p-1\0", "p-1\x0b", "\x85p-1", "p-1\x1f")),
    *((text, RejectReason.BAD_KEY) for text in ('"p-1"', '""', '{"id":1}', "{}", '["p-1"]', "[]", "[1]")),
    ("x" * (MAX_KEY_BYTES + 1), RejectReason.BAD_KEY),
    ("é" * (MAX_KEY_BYTES // 2 + 1), RejectReason.BAD_KEY),
    ("p\ud800", RejectReason.BAD_KEY),
    *((text, RejectReason.NO_ID) for text in ("", "  ", "\xa0", "\t")),
]
ORDINARY_IDS = [
    *(
        "p-1",
        "00123",
        "1234567890123456789012",
        "1E5",
        "12E34567",
        "5e7",
        "E+12",
        "+41791234567",
        "-5",
        "1.5",
        "2e",
        "auth0|5f7c",
        "a@b.example",
    ),
    *(
        "nano",
        "Nancy",
        "nullable",
        "none",
        "na",
        "nat",
        "n",
        "N",
        "undefined-1",
        "#tag",
        "#1",
        "a#N/A",
        "(null",
        "{x",
        "[x",
        '"x',
        "x=1",
        "'tis",
    ),
    *("sep", "sep=12"),
    *(
        "p 1",
        "p\xa01",
        "Zoë",
        "é",
        "e\u0301",
        "山田",
        "\U0001f600",
        "\ue000",
        "x" * MAX_KEY_BYTES,
        "é" * (MAX_KEY_BYTES // 2),
    ),
]


@pytest.mark.parametrize(("cell", "reason"), SPOILT_IDS, ids=ascii)
def test_m6_what_a_spreadsheet_or_an_export_made_of_an_id_is_rejected_and_any_id_takes_it(
    cell: str, reason: RejectReason
) -> None:
    found = read_id(cell, "profileid")

    assert isinstance(found, RowFault)
    assert found.reason is reason
    assert reason in SPOILT
    assert read_id(cell, "profileid", any_id=True) == cell.strip()


@pytest.mark.parametrize(("cell", "reason"), NEVER_IDS, ids=lambda value: ascii(value)[:20])
def test_i11_what_no_key_may_be_is_rejected_whatever_is_said(cell: str, reason: RejectReason) -> None:
    for any_id in (False, True):
        found = read_id(cell, "profileid", any_id=any_id)

        assert isinstance(found, RowFault) == (cell.strip("\t\r\n") == cell or not cell.strip())
        assert not isinstance(found, RowFault) or found.reason is reason


@pytest.mark.parametrize("cell", ORDINARY_IDS, ids=lambda value: ascii(value)[:20])
def test_m6_ordinary_ids_are_taken_as_they_are(cell: str) -> None:
    assert read_id(cell, "profileid") == cell


@pytest.mark.parametrize("blank", list(" \t\r\n\xa0\u2003\u2009\u202f\u3000"), ids=ascii)
def test_m6_blanks_around_an_id_are_no_part_of_it(blank: str) -> None:
    assert read_id(f"{blank}p-1{blank}{blank}", "profileid") == "p-1"


@pytest.mark.parametrize(
    ("cell", "code_point"),
    [("\u200bp-1", "U+200B"), ("p-2\u200e", "U+200E"), ("\ufeffp-3", "U+FEFF"), ("p\x1a", "U+001A")],
)
def test_m6_the_code_point_of_a_character_that_nobody_sees_is_told(cell: str, code_point: str) -> None:
    found = read_id(cell, "profileid")

    assert isinstance(found, RowFault)
    assert code_point in found.explanation


@given(st.text(max_size=20), st.booleans())
def test_i11_law_whatever_is_taken_may_be_a_key(cell: str, any_id: bool) -> None:
    found = read_id(cell, "profileid", any_id=any_id)

    if isinstance(found, str):
        assert 1 <= len(found.encode()) <= MAX_KEY_BYTES
        assert found == found.strip()
        assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in found)
