"""The owners of a file's identities are found by the records of a changelog (contract M6)."""

import pytest

from processor.audience_import.identities import SHOWN_CHARACTERS, FoundProfile, Identities, IdentityRow
from processor.audience_import.rejected import RejectedRow, RejectReason
from schemas.kafka import ReadRecord
from schemas.wire.identity_index import (
    INDEX_KEY,
    IndexProgress,
    IndexState,
    encode_progress,
    identity_key,
    identity_value,
)
from schemas.wire.profiles_changelog import SOURCE_POSITION_KEY, SourcePosition, encode_source_position


def record(partition: int, key: bytes, value: bytes | None) -> ReadRecord:
    return ReadRecord("changelog", partition, 0, None, key, value, ())


def owns(partition: int, profile: str, namespace: str, identity: str, *, no_more: bool = False) -> ReadRecord:
    return record(
        partition, identity_key(namespace, identity, profile.encode()), None if no_more else identity_value(namespace)
    )


def found(asked: list[tuple[str, str]], changelog: list[ReadRecord]) -> list[str]:
    """Each row's profile, or why there is none."""
    return [row.explanation if isinstance(row, RejectedRow) else row.profile_id for row in found_rows(asked, changelog)]


def found_rows(asked: list[tuple[str, str]], changelog: list[ReadRecord]) -> list[FoundProfile | RejectedRow]:
    with Identities() as identities:
        identities.add_rows(
            [
                IdentityRow(number + 2, namespace, name, f"{namespace},{name}")
                for number, (namespace, name) in enumerate(asked)
            ]
        )
        for each in changelog:
            identities.read_record(each)
        rows = list(identities.find_profiles())
    assert [(row.line, row.row) for row in rows] == [(number, ",".join(each)) for number, each in enumerate(asked, 2)]
    return rows


def test_m6_an_identity_leads_to_the_one_profile_that_has_it() -> None:
    changelog = [owns(0, "p-1", "ECID", "1"), owns(3, "Zoë", "Email", "é" * 5_000), owns(1, "p-2", "ECID", "2")]

    assert found([("Email", "é" * 5_000), ("ECID", "1"), ("ECID", "1")], changelog) == ["Zoë", "p-1", "p-1"]


def test_m6_an_identity_of_several_profiles_is_rejected_with_their_ids_and_one_of_none_with_the_reason() -> None:
    changelog = [
        owns(0, "p-1", "ECID", "1"),
        owns(1, "p-2", "ECID", "1"),
        *(owns(1, f"q-{number}", "ECID", "0") for number in range(5)),
    ]

    assert found([("ECID", "1"), ("ECID", "0"), ("ECID", "2"), ("Email", "1"), ("ECID", "x" * 300)], changelog) == [
        "2 profiles have the identity 1 of the namespace ECID: p-1 and p-2",
        "5 profiles have the identity 0 of the namespace ECID: q-0 and q-4 (and 3 more)",
        "no profile has the identity 2 of the namespace ECID",
        "no profile has the identity 1 of the namespace Email",
        f"no profile has the identity {'x' * SHOWN_CHARACTERS}… of the namespace ECID",
    ]


@pytest.mark.parametrize(("stored", "asked"), [("ECID", "ecid"), ("Email", "email"), ("Größe", "GRÖSSE")])
def test_m6_a_namespace_in_another_case_is_no_match_and_is_named(stored: str, asked: str) -> None:
    (reason,) = found([(asked, "1")], [owns(0, "p-1", stored, "1"), owns(0, "p-2", "Phone", "1")])

    remedy = "write the namespace as it is stored, upper and lower case count"
    assert reason == f"no profile has the identity 1 of the namespace {asked}; p-1 has it in {stored}: {remedy}"


def test_m6_the_last_row_of_an_identity_and_a_profile_counts() -> None:
    changelog = [
        *(owns(0, "p-1", "ECID", "1"), owns(0, "p-1", "ECID", "1", no_more=True), owns(1, "p-2", "ECID", "1")),
        *(owns(0, "p-3", "ECID", "3", no_more=True), owns(0, "p-3", "ECID", "3")),
        *(owns(0, "p-4", "ECID", "4"), owns(0, "p-4", "ECID", "4", no_more=True)),
    ]

    assert found([("ECID", "1"), ("ECID", "3"), ("ECID", "4")], changelog) == [
        "p-2",
        "p-3",
        "no profile has the identity 4 of the namespace ECID",
    ]


def test_m6_why_an_identity_leads_to_nobody_is_told_by_a_word() -> None:
    changelog = [owns(0, "p-1", "ECID", "1"), owns(1, "p-2", "ECID", "1"), owns(1, "p-3", "ECID", "3")]

    rows = found_rows([("ECID", "1"), ("ECID", "2"), ("ecid", "3"), ("Email", "3")], changelog)

    reasons = [row.reason for row in rows if isinstance(row, RejectedRow)]
    assert reasons == [
        RejectReason.SEVERAL_PROFILES,
        RejectReason.NO_PROFILE,
        RejectReason.NAMESPACE_CASE,
        RejectReason.NO_PROFILE,
    ]


def test_i12_the_partitions_that_have_an_identity_of_a_profile_are_told() -> None:
    changelog = [owns(0, "p-1", "ECID", "1"), owns(11, "p-1", "ECID", "1"), owns(2, "p-2", "ECID", "2")]

    rows = found_rows([("ECID", "1"), ("ECID", "2")], changelog)

    assert [row.partitions for row in rows if isinstance(row, FoundProfile)] == [{0, 11}, {2}]


def test_i12_a_profile_that_has_state_in_two_partitions_is_one_profile() -> None:
    changelog = [owns(0, "p-1", "ECID", "1"), owns(1, "p-1", "ECID", "1"), owns(1, "p-1", "ECID", "1", no_more=True)]

    assert found([("ECID", "1")], changelog[:2]) == found([("ECID", "1")], changelog) == ["p-1"]


def progress(partition: int, state: IndexState, next_offset: int, seen: int = 0) -> ReadRecord:
    return record(partition, INDEX_KEY, encode_progress(IndexProgress(state, next_offset, "", seen)))


def source_position(partition: int, next_offset: int, profiles: int = 0) -> ReadRecord:
    return record(
        partition, SOURCE_POSITION_KEY, encode_source_position(SourcePosition(next_offset, profiles=profiles))
    )


@pytest.mark.parametrize(
    ("changelog", "why"),
    [
        ([], None),
        ([progress(0, IndexState.COMPLETE, 7), source_position(0, 7)], None),
        ([progress(0, IndexState.COMPLETE, 9), source_position(0, 7)], None),
        (
            [source_position(1, 7), source_position(0, 7)],
            "partitions 0, 1: no index of identities; the workers run with PROFILE_EXPORTER_IDENTITY_INDEX=false",
        ),
        ([progress(2, IndexState.COMPLETE, 7), source_position(2, 8)], "partition 2: no index of identities"),
        ([progress(2, IndexState.REMOVING, 7), source_position(2, 7)], "partition 2: no index of identities"),
        (
            [progress(2, IndexState.COMPLETE, 7), source_position(2, 7), record(2, INDEX_KEY, None)],
            "partition 2: no index of identities",
        ),
        ([source_position(number, 7) for number in range(9)], "partitions 0, 1, 2, 3, 4, …: no index"),
        (
            [
                progress(0, IndexState.COMPLETE, 7),
                source_position(0, 7, 50),
                progress(1, IndexState.BUILDING, 7, 20),
                source_position(1, 7, 80),
            ],
            "partition 1: the index of identities is being built, 20 of 80 profiles were looked at",
        ),
        ([progress(0, IndexState.CLEARING, 7), source_position(0, 7, 50)], "is being built, 0 of 50 profiles"),
    ],
)
def test_an_index_that_is_not_whole_is_known_as_such_with_the_remedy(
    changelog: list[ReadRecord], why: str | None
) -> None:
    with Identities() as identities:
        for each in changelog:
            identities.read_record(each)
        told = identities.why_incomplete()

    assert (told is None) == (why is None)
    assert why is None or why in (told or "")
