"""CSV files that name members by an identity, in the columns namespace and id (contract M6)."""

from pathlib import Path

import pytest

from processor.audience_import.identities import IdentityRow
from processor.audience_import.rejected import SPOILT, RejectedRow, RejectReason, RowFault
from processor.audience_import.rows import ReadOptions, Rows
from processor.foundation.errors import UsageError
from tests.audience_import.files import rows_of
from tests.audience_import.test_ids import SPOILT_IDS


def named(rows: Rows) -> list[object]:
    """Return what each row names: a profile id, (namespace, id), or (line, reason) where it names nobody."""
    return [
        (
            (row.namespace, row.id)
            if isinstance(row, IdentityRow)
            else (row.line, row.reason)
            if isinstance(row, RejectedRow)
            else row
        )
        for row in rows
    ]


def test_m6_rows_name_members_by_identity_and_a_profile_id_beside_it_wins(tmp_path: Path) -> None:
    content = (
        b"x,ID,Namespace,profileId\n1, a@b"
        b" ,Email,\n2,c,,\n3,,Email,\n4,d,Email,p-4\n5,,,p-5\n6,,,\n7,e,Email,NULL\n8,NULL,,p-8\n"
    )

    rows = rows_of(tmp_path, content)

    assert rows.ignored == ["x"]
    assert rows.names_identities
    assert list(rows) == [
        IdentityRow(2, "Email", "a@b", "1, a@b ,Email,"),
        RejectedRow(3, RejectReason.NO_ID, "profileId and namespace are empty", "2,c,,"),
        RejectedRow(4, RejectReason.NO_ID, "profileId and id are empty", "3,,Email,"),
        "p-4",
        "p-5",
        RejectedRow(7, RejectReason.NO_ID, "profileId and namespace are empty", "6,,,"),
        RejectedRow(
            8, RejectReason.WORD_FOR_NOTHING, "it is what programs write where there is no id", "7,e,Email,NULL"
        ),
        "p-8",
    ]


def test_m6_a_row_without_its_identity_is_told_with_what_is_empty(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "namespace;id\nECID;\n;1\n;\n\nECID;1\n")

    assert list(rows) == [
        RejectedRow(2, RejectReason.NO_ID, "id is empty", "ECID;"),
        RejectedRow(3, RejectReason.NO_ID, "namespace is empty", ";1"),
        IdentityRow(6, "ECID", "1", "ECID;1"),
    ]


@pytest.mark.parametrize(
    ("cell", "reason"), [each for each in SPOILT_IDS if each[1] is not RejectReason.HEADER_AGAIN], ids=ascii
)
@pytest.mark.parametrize("place", ["namespace", "id"])
def test_m6_what_a_spreadsheet_or_an_export_made_of_an_identity_is_rejected_and_any_id_takes_it(
    tmp_path: Path, cell: str, reason: RejectReason, place: str
) -> None:
    assert reason in SPOILT
    quoted = '"' + cell.replace('"', '""') + '"'
    content = f"namespace,id\n{quoted},1\n" if place == "namespace" else f"namespace,id\nECID,{quoted}\n"

    (rejected,) = rows_of(tmp_path, content)
    taken = named(rows_of(tmp_path, content, ReadOptions(any_id=True)))

    assert isinstance(rejected, RejectedRow)
    assert rejected.reason is reason
    assert rejected.explanation.startswith(f"{place}: it ") or reason is RejectReason.SHORTENED_NUMBER
    assert taken == [(cell, "1") if place == "namespace" else ("ECID", cell)]


@pytest.mark.parametrize("control", list("\0\x01\x1a\x1f\x7f\x85\x9f"), ids=ascii)
def test_m6_control_characters_in_an_identity_are_rejected_and_any_id_takes_them(tmp_path: Path, control: str) -> None:
    content = f"namespace,id\nECID,a{control}b\n"

    assert named(rows_of(tmp_path, content)) == [(2, RejectReason.UNSEEN_CHARACTER)]
    assert named(rows_of(tmp_path, content, ReadOptions(any_id=True))) == [("ECID", f"a{control}b")]


def test_m6_the_header_again_and_an_escaped_word_for_nothing_name_no_identity(tmp_path: Path) -> None:
    again = "Namespace,ID\nECID,1\nnamespace,id\nECID,2\n"
    escaped = "namespace,id\nECID,\\N\n\\N,1\nECID,N\n"

    assert named(rows_of(tmp_path, again)) == [("ECID", "1"), (3, RejectReason.HEADER_AGAIN), ("ECID", "2")]
    assert named(rows_of(tmp_path, escaped, ReadOptions(escape="\\"))) == [
        (2, RejectReason.WORD_FOR_NOTHING),
        (3, RejectReason.WORD_FOR_NOTHING),
        ("ECID", "N"),
    ]


@pytest.mark.parametrize("identity", ['"quoted"', '{"a":1}', "[1]", "x" * 5_000], ids=lambda text: text[:9])
def test_i11_is_of_keys_and_an_identity_may_be_what_no_key_is(tmp_path: Path, identity: str) -> None:
    quoted = '"' + identity.replace('"', '""') + '"'

    assert named(rows_of(tmp_path, f"id,namespace\n{quoted},CRM\n")) == [("CRM", identity)]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("sep=;\nnamespace;id;x\nECID;1\nECID;2;\nECID;3;4;;\n", [("ECID", "1"), ("ECID", "2"), ("ECID", "3")]),
        (
            "name,namespace,id\nAda,ECID,1\nDoe, John,ECID,\nZoe,ECID\n",
            [("ECID", "1"), (3, RejectReason.TOO_MANY_COLUMNS), (4, RejectReason.NO_ID)],
        ),
        ("profileId,namespace,id\np-1\n,ECID,1\n,ECID\n", ["p-1", ("ECID", "1"), (4, RejectReason.NO_ID)]),
        ("namespace\tid\nECID\ta,b\n", [("ECID", "a,b")]),
    ],
)
def test_m6_delimiters_at_the_end_and_short_rows_are_understood_with_identities(
    tmp_path: Path, content: str, found: list[object]
) -> None:
    assert named(rows_of(tmp_path, content)) == found


def test_m6_a_broken_quote_swallows_no_identity_of_a_later_row(tmp_path: Path) -> None:
    content = (
        'note,namespace,id\n"5" pipe,ECID,1\na,Email,ann@example.com\n"TV'
        ' 32"",ECID,2\nb,Email,b.c.d@example.com\nc,ECID,3\n'
    )

    assert named(rows_of(tmp_path, content)) == [
        (2, RejectReason.BROKEN_QUOTES),
        ("Email", "ann@example.com"),
        (4, RejectReason.BROKEN_QUOTES),
        ("Email", "b.c.d@example.com"),
        ("ECID", "3"),
    ]


def test_m6_a_column_that_is_named_holds_profile_ids_alone(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "namespace,id,crm\nECID,1,p-1\nECID,2,\n", ReadOptions(id_column="crm"))
    of_ids = rows_of(tmp_path, "namespace,id\nECID,1\n", ReadOptions(id_column="id"))

    assert (rows.names_identities, rows.ignored) == (False, ["namespace", "id"])
    assert named(rows_of(tmp_path, "namespace,id,crm\nECID,1,p-1\nECID,2,\n", ReadOptions(id_column="crm"))) == [
        "p-1",
        (3, RejectReason.NO_ID),
    ]
    assert (of_ids.names_identities, of_ids.ignored) == (False, ["namespace"])


def test_m6_columns_of_identities_that_stand_twice_are_refused_or_not_used(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names id 2 times"):
        rows_of(tmp_path, "namespace,id,id\nECID,1,2\n")
    beside = rows_of(tmp_path, "profileId,namespace,id,id\np-1,ECID,1,2\n,ECID,1,2\n")

    assert (beside.names_identities, beside.ignored) == (False, ["namespace", "id", "id"])
    assert named(beside) == ["p-1", (3, RejectReason.NO_ID)]


def test_i12_a_profile_id_that_nobody_can_place_is_rejected_and_its_identity_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "members.csv"
    file.write_text("profileId,namespace,id\nhalf,ECID,1\nwhole,ECID,2\n,ECID,3\n")

    rows = Rows(
        file,
        fault_of=lambda profile: RowFault(RejectReason.NO_PARTITION, "it is on two") if profile == "half" else None,
    )

    assert named(rows) == [(2, RejectReason.NO_PARTITION), "whole", ("ECID", "3")]
