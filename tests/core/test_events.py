"""What an event does to the state, and what makes it a dead letter (contract section 1, F5)."""

import tracemalloc
from copy import deepcopy
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.core.step import EventSkip, Limits, Step
from state.rows import encode_row
from tests.core.builders import BEFORE, NOW, PLACE, History, flow, member

GOOD = {"specversion": "1.0", "id": "x", "source": "/u", "type": "profile.patched", "time": NOW, "data": {}}


def with_(**changes: Any) -> bytes:
    return orjson.dumps({**GOOD, **changes})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\xff\xfe\x00rubbish", "not_utf8"),
        (b"x" * 900_000, "not_json"),
        (b'{"a":NaN}', "not_json"),
        (b"null", "not_cloudevents"),
        (b"[]", "not_cloudevents"),
        (with_(specversion="0.3"), "not_cloudevents"),
        (with_(id=""), "not_cloudevents"),
        (with_(source=None), "not_cloudevents"),
        (with_(id="x" * 1025), "bad_shape"),
        (with_(id="é" * 513), "bad_shape"),
        (with_(source="/" + "x" * 1024), "bad_shape"),
        (with_(type="profile.renamed"), "unknown_type"),
        (with_(subject="p-2"), "subject_mismatch"),
        (with_(time="yesterday"), "bad_time"),
        (with_(time=None), "bad_time"),
        (with_(data=None), "bad_shape"),
        (with_(data={"segmentMembership": {"ups": []}}), "bad_shape"),
        (with_(data={"identityMap": {"E": [{"id": 1}]}}), "bad_shape"),
        (with_(data=member("maybe")), "bad_status"),
        (with_(data=member(time="2026-02-30T00:00:00Z")), "bad_time"),
        (with_(data=member(validUntil="soon")), "bad_time"),
        (with_(type="profile.merged", data={"into": "p-1"}), "bad_shape"),
        (b'{"a":' * 1000 + b"1" + b"}" * 1000, "bad_shape"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "bad_shape"),
        (with_(time="2026-01-11T24:00:00Z"), "bad_time"),
    ],
)
def test_i4_what_cannot_be_used_is_a_dead_letter_with_its_bytes_unchanged(value: bytes, reason: str) -> None:
    history = History(flow("ups/a"))

    letter = history.raw(value).dead_letter

    assert letter is not None
    assert (letter.reason, letter.value, letter.key) == (reason, value, b"p-1")
    assert history.replay.profiles == {}


@pytest.mark.parametrize("text", ["x" * 1024, "é" * 512, "\U0001f600" * 256])
def test_i4_an_id_and_a_source_may_have_1024_bytes(text: str) -> None:
    assert History().raw(with_(id=text, source=text)).dead_letter is None


def test_i5_the_ids_that_a_row_keeps_are_bounded_whatever_the_events_hold() -> None:
    """A row keeps the last ids. One of a megabyte made a row that no changelog took: the partition stood still for ever."""
    history = History(limits=Limits(dedup_window=1000))

    for length in (1024, 1025, 1_000_000):
        history.raw(with_(id="x" * length))

    profile = history.profile
    assert [len(each) for each in profile.event_ids] == [1024]
    assert len(encode_row(profile, 0)) < 2000


def test_i3_nothing_of_a_time_is_kept_but_its_second_however_many_digits_its_fraction_has() -> None:
    """Caches by the text as it came kept 65,536 times of any length: who may write events could fill the memory for good."""
    history = History()

    def live(number: int) -> Step:
        time = f"2026-01-11T23:37:{number:02}.{'0' * 200_000}Z"
        return history.patch(member(time=time, validUntil=time), time=time)

    live(0)
    tracemalloc.start()
    steps = [live(number).dead_letter for number in range(1, 50)]
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert steps == [None] * 49
    assert kept < 2_000_000, "the newest document holds one of them, as it was written"


@pytest.mark.parametrize("key", [None, b"", b"k" * 513, b"\xff"])
def test_i4_a_key_that_is_no_profile_id_is_bad(key: bytes | None) -> None:
    letter = History().raw(with_(), key=key).dead_letter

    assert letter is not None
    assert letter.reason == "bad_key"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"hello":"world"}', "not_cloudevents"),
        (with_(type="profile.renamed"), "unknown_type"),
        (with_(type="profile.renamed", id="x" * 1025), "unknown_type"),
        (with_(data=member("maybe")), "bad_status"),
        (with_(subject="p-2"), "bad_key"),
    ],
)
def test_i4_of_several_faults_the_first_in_the_order_of_the_contract_is_told(value: bytes, reason: str) -> None:
    letter = History().raw(value, key=None).dead_letter

    assert letter is not None
    assert letter.reason == reason


def test_i4_an_explanation_stays_short_whatever_the_event_holds() -> None:
    digits = "0" * 100_000
    times = [f"2026-13-01T00:00:00.{digits}Z", f"0001-01-01T00:00:00.{digits}+00:01", f"2026-01-01T00:00:00.{digits}+24:00", digits]
    long = "x" * 100_000
    letters = [History().raw(with_(time=time)).dead_letter for time in times]
    letters += [History().raw(with_(**fault)).dead_letter for fault in ({"type": long}, {"subject": long}, {"data": member(long, namespace=long)})]

    for letter in letters:
        assert letter is not None
        assert len(letter.explanation) < 500


def test_i4_the_size_of_the_document_after_the_event_is_limited_to_the_byte() -> None:
    document = {"text": "é" * 100}
    size = len(orjson.dumps(document))

    assert History(limits=Limits(max_document_bytes=size)).patch(document).dead_letter is None
    letter = History(limits=Limits(max_document_bytes=size - 1)).patch(document).dead_letter
    assert letter is not None
    assert letter.reason == "document_too_large"


def test_i5_a_repeated_offset_and_a_repeated_id_are_skipped() -> None:
    history = History(flow("ups/a"))
    history.patch(member(), id="one")

    assert history.patch(member("exited"), id="one").skipped_event is EventSkip.DUPLICATE_EVENT
    history.offset -= 1
    assert history.patch(member("exited"), id="two").skipped_event is EventSkip.ALREADY_APPLIED


def test_i3_a_changed_status_without_a_time_takes_the_events_time() -> None:
    history = History()
    history.patch(member("realized", BEFORE))
    history.patch({"segmentMembership": {"ups": {"a": {"status": "exiting"}, "b": {}}}})

    assert history.document()["segmentMembership"]["ups"] == {
        "a": {"status": "exited", "lastQualificationTime": NOW},
        "b": {"status": "realized", "lastQualificationTime": NOW},
    }


@pytest.mark.parametrize(
    ("type", "data"),
    [
        ("profile.patched", {"segmentMembership": {"ups": {"a": None, "old": None}}}),
        ("profile.patched", {"segmentMembership": {"ups": None}}),
        ("profile.patched", {"segmentMembership": None}),
        ("profile.replaced", {}),
    ],
)
def test_i7_a_realized_membership_that_is_removed_is_exited_now(type: str, data: Any) -> None:
    history = History(flow("ups/a"))
    history.patch(member("exited", BEFORE, audience="old"))
    history.patch(member("realized", BEFORE, validUntil=NOW))

    result = history.event(type, data)

    assert history.document()["segmentMembership"] == {"ups": {"a": {"status": "exited", "lastQualificationTime": NOW}}}
    assert result.records[0].causes == ("segment:ups/a:exited",)


def test_i8_ending_an_absent_profile_applies_nothing() -> None:
    history = History(flow("ups/a"))

    assert history.raw(None, timestamp=0).skipped_event is EventSkip.PROFILE_ABSENT
    assert history.event("membership.expired", {"exit": []}).skipped_event is EventSkip.PROFILE_ABSENT


def test_f5_an_expiry_exits_what_is_past_its_deadline_and_passes_over_the_rest() -> None:
    history = History(flow("CRM/a"))
    history.patch(member("realized", BEFORE, namespace="CRM", validUntil=NOW))
    history.patch(member("realized", BEFORE, namespace="CRM", audience="later", validUntil="2027-01-01T00:00:00Z"))
    items = [{"namespace": "CRM", "id": audience} for audience in ("a", "later", "unknown")]

    result = history.event("membership.expired", {"exit": items, "purge": items})

    assert result.records[0].causes == ("segment:CRM/a:exited",)
    entries = history.document()["segmentMembership"]["CRM"]
    assert {audience: entry["status"] for audience, entry in entries.items()} == {"a": "exited", "later": "realized"}


names = st.sampled_from(["a", "b", "c"])
values = st.recursive(st.one_of(st.none(), st.booleans(), st.integers(0, 2), st.text(max_size=2)), lambda v: st.dictionaries(names, v), max_leaves=5)
entries = st.one_of(st.none(), st.fixed_dictionaries({}, optional={"status": st.sampled_from(["realized", "exited"])}))
memberships = st.one_of(st.none(), st.dictionaries(st.sampled_from(["ups", "CRM"]), st.one_of(st.none(), st.dictionaries(names, entries))))
patches = st.fixed_dictionaries({}, optional={"x": values, "y": values, "segmentMembership": memberships})
events = st.lists(st.tuples(st.sampled_from(["profile.patched", "profile.replaced"]), patches), max_size=12)
FLOWS = (flow("ups/a", "CRM/b", attributes=("x.a", "x")), flow("ups/b", id="g", membershipGate="none", attributes=("y",)))


@settings(max_examples=150, deadline=None)
@given(events)
def test_law_replay_is_deterministic_emits_one_record_a_flow_at_most_and_changes_nothing_in_place(history: list[tuple[str, Any]]) -> None:
    first, second = History(*FLOWS), History(*FLOWS)
    for type_, data in history:
        profile = first.replay.profiles.get(PLACE)
        kept = repr(profile)

        result = first.event(type_, data)

        assert repr(profile) == kept
        assert result == second.event(type_, deepcopy(data))
        assert len({record.flow_id for record in result.records}) == len(result.records)
        assert b":null" not in orjson.dumps(first.document())
