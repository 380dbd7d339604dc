"""Quotes and escapes as other programs write them (contract M6): a broken row is rejected, and never swallows another
one without a word.
"""

import csv
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.audience_import.records import MAX_RECORD_CHARACTERS
from processor.audience_import.rejected import RejectReason
from processor.audience_import.rows import ReadOptions
from processor.foundation.errors import UsageError
from tests.audience_import.files import read, rows_of

BROKEN, LARGE = RejectReason.BROKEN_QUOTES, RejectReason.TOO_LARGE
HEADER = "profileId,name\r\n"
ESCAPED = ReadOptions(escape="\\")


@pytest.mark.parametrize(
    "row",
    [
        'p-1,"5" pipe"',
        'p-1,"5"" and 6" pipe"',
        'p-1,"TV 32""',  # open for a reader, closed for its writer
        'p-1,"TV 32"",',
        '"p-1,A',  # an open quote that the next one ends
    ],
)
def test_m6_a_quote_inside_a_value_costs_its_own_row_alone(tmp_path: Path, row: str) -> None:
    for end in ("\r\n", "\n", "\r"):
        content = f'{HEADER}{row}\r\np-2,B\r\n"p-3","x ""y"""\r\n'.replace("\r\n", end)

        assert read(tmp_path, content) == (["p-2", "p-3"], [(2, BROKEN)])


def test_m6_a_quote_that_is_never_closed_refuses_the_file(tmp_path: Path) -> None:
    for rest in ("p-1,1\n" * 5000, "p-1,1\n" * 50_000, "p-1,1\n"):
        with pytest.raises(
            UsageError, match=r'line 2: a quote is opened and not closed.*p-0,"Bob.*Nothing of the file is used'
        ):
            read(tmp_path, 'profileId,x\np-0,"Bob\n' + rest)


def test_m6_a_quote_that_a_later_row_closes_swallows_no_row_between(tmp_path: Path) -> None:
    content = 'profileId,x\np-0,"Bob\np-1,1\np-2,2\np-3,5"\np-4,4\n'

    assert read(tmp_path, content) == (["p-1", "p-2", "p-4"], [(2, BROKEN), (5, BROKEN)])


def test_m6_a_value_of_several_lines_is_read_and_a_line_of_a_broken_one_is_no_member(tmp_path: Path) -> None:
    whole = 'profileId,note\n1001,"Flat 7\n12, Main Street"\n1002,"Dear,\nI said ""no"", and left"\n'
    broken = 'profileId,note\np-1,"Dear\nMr "X", hello\nbye"\nyours"\np-2,B\np-3\n'

    assert read(tmp_path, whole) == (["1001", "1002"], [])
    assert read(tmp_path, broken) == (["p-2", "p-3"], [(line, BROKEN) for line in (2, 3, 4, 5)])


def test_m6_a_broken_row_costs_no_row_where_all_end_with_a_delimiter_or_are_short(tmp_path: Path) -> None:
    longer, shorter = 'profileId,x\np-1,"5" a",\n' + "p-2,b,\n" * 3, 'profileId,x,y\np-1,"5" a"\n' + "p-2,b\n" * 3

    for content in (longer, shorter):
        assert read(tmp_path, content) == (["p-2"] * 3, [(2, BROKEN)])


def test_m6_the_last_row_may_be_cut_off(tmp_path: Path) -> None:
    assert read(tmp_path, 'profileId,x\np-1,1\np-2,"b') == (["p-1"], [(3, BROKEN)])


@pytest.mark.parametrize(
    "row",
    [
        'p-1,"Joe \\"The Man\\" S"',
        'p-1,"Joe \\"The Man\\", S"',
        'p-1,"\\"Joe\\""',
        'p-1,"Joe\\"",S',
        'p-1,"\\"",S',
        '"p-1 \\"S",x',
    ],
)
def test_m6_quotes_behind_backslashes_are_refused_until_the_escape_is_named(tmp_path: Path, row: str) -> None:
    content = f"profileId,name,x\r\np-0,A,B\r\n{row}\r\np-2,B,\r\n"

    with pytest.raises(UsageError) as refused:
        read(tmp_path, content)
    members, rejected = read(tmp_path, content, ESCAPED)

    assert f"line 3: quotes stand behind backslashes: {row}; " in str(refused.value)
    assert "--escape '\\'" in str(refused.value)
    assert (members[0], members[1][:3], members[2], rejected) == ("p-0", "p-1", "p-2", [])


def test_m6_delimiters_behind_backslashes_are_rejected_with_the_escape(tmp_path: Path) -> None:
    content = "profileId,name\np-1,Joe\\, Jr\np-2,B\n"

    found = [row for row in rows_of(tmp_path, content) if not isinstance(row, str)]

    assert "--escape" in found[0].explanation
    assert read(tmp_path, content, ESCAPED) == (["p-1", "p-2"], [])


def test_m6_a_path_that_ends_with_a_backslash_is_no_escape(tmp_path: Path) -> None:
    assert read(tmp_path, 'profileId,path\np-1,"C:\\dir\\"\np-2,x\n') == (["p-1", "p-2"], [])


def test_m6_what_databases_write_for_null_is_no_n_behind_an_escape(tmp_path: Path) -> None:
    assert read(tmp_path, "profileId,x\n\\N,1\nN,2\n", ESCAPED) == (["N"], [(2, RejectReason.WORD_FOR_NOTHING)])


def test_m6_values_and_rows_that_are_too_large_are_rejected(tmp_path: Path) -> None:
    large, long = "x" * 200_000, ("x" * 1000 + ";") * (3 * MAX_RECORD_CHARACTERS // 1000)

    assert read(tmp_path, f'profileId,x\np-1,{large}\np-2\np-3,"{large}"\np-4,x\n') == (
        ["p-2", "p-4"],
        [(2, LARGE), (4, LARGE)],
    )
    assert read(tmp_path, f"profileId,x\np-1,{long}\np-2\n") == (["p-2"], [(2, LARGE)])


def test_m6_memory_holds_one_record(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, b"profileId,x\np-1," + b"x" * 40_000_000 + b'\np-2,"' + b"y\n" * 1000 + b'"\n')
    tracemalloc.start()
    try:
        found = list(rows)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found[1:] == ["p-2"]
    assert most < 20_000_000


VALUES = st.text(st.sampled_from("ab,;\"'\n\r \\é"), max_size=6)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 10**6), VALUES, VALUES), max_size=8),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_m6_law_what_csv_writes_is_read_whole(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str, str]], delimiter: str, end: str
) -> None:
    folder = tmp_path_factory.mktemp("law")
    with (folder / "written.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
        writer.writerow(("profileId", "x", "y"))
        writer.writerows((f"id {number}", first, second) for number, first, second in rows)

    assert read(folder, (folder / "written.csv").read_bytes()) == ([f"id {number}" for number, _, _ in rows], [])


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from('p1,;"\\\n\r\x00é '), max_size=60))
def test_m6_law_every_line_is_told_or_the_file_is_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("law")
    content = f"profileId,x\n{text}\nlast,1\n"
    try:
        members, rejected = read(folder, content)
    except UsageError as error:
        assert re.search("othing of (the file|it) is used", str(error))  # noqa: PT017  # either is right, and both are looked at
        return

    lines = [line for line, _ in rejected]
    assert lines == sorted(set(lines))
    assert members[-1:] == ["last"] or rejected
