"""What an event does to the state, and what makes it a dead letter (contract section 1, F5)."""

import json
import tracemalloc
from copy import deepcopy
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.core.step import EventSkip, Limits, Step
from schemas.wire.profiles_changelog import encode_row
from tests.kit.builders import BEFORE, NOW, PLACE, History, flow, member

UNTIL = "2027-01-01T00:00:00Z"
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
        (with_(data=member(None)), "bad_status"),
        (with_(data={"segmentMembership": {"ups": {"a": {"stAtus": "exited"}}}}), "bad_status"),
        (
            with_(data={"segmentMembership": {"ups": {"a": {"State": "exited", "lastQualificationTime": NOW}}}}),
            "bad_status",
        ),
        (
            with_(
                data={
                    "segmentMembership": {"ups": {"a": {"xdm:STATUS": "realized", "validUntil": NOW, "version": "1"}}}
                }
            ),
            "bad_status",
        ),
        (with_(data={"segmentMembership": {"ups": {"": {}}}}), "bad_shape"),
        (with_(data={"segmentMembership": {"ups": {"": None}}}), "bad_shape"),
        (with_(data={"xdm:segmentMembership": {"ups": []}}), "bad_shape"),
        (with_(data={"xdm:identityMap": {"E": [{"xdm:id": 1}]}}), "bad_shape"),
        (with_(data={"identityMap": {"E": [{"id": None, "xdm:id": "1"}]}}), "bad_shape"),
        (with_(**{"data": None, "xdm:data": {}}), "bad_shape"),
        (with_(type="profile.merged", data={"xdm:into": "p-1"}), "bad_shape"),
        (with_(type="membership.expired", data={"xdm:exit": {}}), "bad_shape"),
        (with_(data={"n": 0}).replace(b"0}", b"1e400}"), "bad_number"),
        (with_(data={"n": 0}).replace(b"0}", b"-0.1E+310}"), "bad_number"),
        (with_(data={"n": 0}).replace(b"0}", b"9" * 310 + b"}"), "bad_number"),
        (with_(data={"n": 0}).replace(b"0}", b"18446744073709551616}"), "bad_number"),
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
    """A row keeps the last sources and ids.

    One of a megabyte made a row that no changelog took: the partition stood still for ever.
    """
    history = History(limits=Limits(dedup_window=1000))

    for number in range(1000):
        assert (
            history.raw(with_(id=f"{number:04}" + "\x01" * 1020, source=f"{number:04}" + "\x01" * 59)).dead_letter
            is None
        )
    history.raw(with_(id="x" * 1025))

    profile = history.profile
    assert len(profile.event_ids) == 2 * 1000
    assert len(encode_row(profile, 0)) < 500_000


def test_i5_the_same_id_of_two_sources_is_two_events_and_of_one_source_it_is_one() -> None:
    history = History(limits=Limits(dedup_window=3))
    sent = [
        ("/crm", "1"),
        ("/shop", "1"),
        ("1", "/crm"),
        ("/crm", "1"),
        ("1", "/crm"),
        ("/crm", "2"),
        ("/shop", "1"),
        ("/crm", "1"),
    ]

    steps = [history.patch({}, id=event_id, source=source).skipped_event for source, event_id in sent]

    assert [skipped is None for skipped in steps] == [True, True, True, False, False, True, False, True]


def test_i5_long_sources_and_ids_are_told_apart_by_every_character() -> None:
    history = History(limits=Limits(dedup_window=9))
    long = "x" * 1023

    steps = [history.patch({}, id=long + last, source=last + long).skipped_event for last in ("a", "b", "a", "b", "c")]

    assert [skipped is None for skipped in steps] == [True, True, False, False, True]


def test_i3_nothing_of_a_time_is_kept_but_its_second_however_many_digits_its_fraction_has() -> None:
    """Caches by the text as it came kept 65,536 times of any length: who may write events could fill the memory for
    good.
    """
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
    times = [
        f"2026-13-01T00:00:00.{digits}Z",
        f"0001-01-01T00:00:00.{digits}+00:01",
        f"2026-01-01T00:00:00.{digits}+24:00",
        digits,
    ]
    long = "x" * 100_000
    letters = [History().raw(with_(time=time)).dead_letter for time in times]
    letters += [
        History().raw(with_(**fault)).dead_letter
        for fault in ({"type": long}, {"subject": long}, {"data": member(long, namespace=long)})
    ]

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


@pytest.mark.parametrize(
    "leaves", [{"status": "exited"}, {"xdm:status": "exiting", "lastQualificationTime": NOW}, None]
)
@pytest.mark.parametrize(
    "comes",
    [
        {"status": "realized"},
        {"status": "existing", "lastQualificationTime": NOW},
        {"status": "realized", "validUntil": None},
    ],
)
def test_i7_an_end_goes_with_the_exit_and_does_not_come_back(leaves: Any, comes: Any) -> None:
    history = History()
    history.patch(member("realized", BEFORE, validUntil=UNTIL))

    history.patch({"segmentMembership": {"ups": {"a": leaves}}})
    left = history.document()["segmentMembership"]["ups"]["a"]
    history.patch({"segmentMembership": {"ups": {"a": comes}}})

    assert left == {"lastQualificationTime": NOW, "status": "exited"}
    assert history.document()["segmentMembership"]["ups"]["a"] == {"lastQualificationTime": NOW, "status": "realized"}


@pytest.mark.parametrize(
    "entry",
    [{"status": "realized"}, {"status": "existing", "lastQualificationTime": NOW}, {"lastQualificationTime": NOW}, {}],
)
def test_i7_an_end_goes_on_with_the_membership_it_was_said_of(entry: Any) -> None:
    history = History()
    history.patch(member("realized", BEFORE, validUntil=UNTIL))

    history.patch({"segmentMembership": {"ups": {"a": entry}}})

    assert history.document()["segmentMembership"]["ups"]["a"]["validUntil"] == UNTIL


@pytest.mark.parametrize("before", [None, "realized", "exited"])
@pytest.mark.parametrize("event_type", ["profile.patched", "profile.replaced"])
def test_i7_an_exited_entry_keeps_no_end_also_where_the_event_names_one(before: str | None, event_type: str) -> None:
    history = History()
    history.patch(member(before, BEFORE) if before else {})

    history.event(event_type, member("exited", NOW, validUntil=UNTIL, version="1"))

    assert history.document()["segmentMembership"]["ups"]["a"] == {
        "lastQualificationTime": NOW,
        "status": "exited",
        "version": "1",
    }


@pytest.mark.parametrize("namespace", ["ups", "CRM"])
def test_f5_an_end_before_the_membership_began_is_as_missing(namespace: str) -> None:
    """A deadline that stands in an event is not met by it, and an external membership ends after its 30 days as if
    nothing were said.
    """
    history = History()
    history.patch(member("realized", NOW, namespace=namespace, validUntil=BEFORE))
    exits = {"exit": [{"namespace": namespace, "id": "a"}]}

    history.event("membership.expired", exits, time="2026-02-10T23:37:32Z")
    early = history.document()["segmentMembership"][namespace]["a"]["status"]
    history.event("membership.expired", exits, time="2026-02-10T23:37:33Z")

    assert early == "realized"
    assert history.document()["segmentMembership"][namespace]["a"]["status"] == (
        "realized" if namespace == "ups" else "exited"
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"xdm:person":{"xdm:name":"Ada"},"list":[{"xdm:a":[{"xdm:b":1}]}]}',
        '{"\\u0078dm:person":{"x\\u0064\\u006D:name":"Ada"},"list":[{"xdm\\u003Aa":[{"\\u0078\\u0064\\u006d\\u003ab":1}]}]}',
        '{"person":{"name":"Ada","xdm:name":"Bob"},"xdm:person":{"age":36},"xdm:list":null,"list":[{"a":[{"xdm:b":2,"b":1}]}]}',
    ],
)
def test_i9_the_prefix_is_dropped_however_it_is_written_and_the_plain_name_wins(text: str) -> None:
    history = History()

    history.raw(with_(data="DATA").replace(b'"DATA"', text.encode()))

    assert history.document() == {"person": {"name": "Ada"}, "list": [{"a": [{"b": 1}]}]}


def test_i9_the_prefix_stays_in_namespaces_ids_and_values_and_is_dropped_in_all_that_is_below_them() -> None:
    history = History()
    entry = {
        "xdm:status": "realized",
        "xdm:lastQualificationTime": NOW,
        "xdm:validUntil": UNTIL,
        "xdm:payload": {"xdm:value": "xdm:x"},
    }
    identity = {"xdm:id": "xdm:1", "xdm:primary": True, "xdm:xid": [{"xdm:a": 1}]}

    history.patch({"xdm:segmentMembership": {"xdm:ups": {"xdm:a": entry}}, "xdm:identityMap": {"xdm:E": [identity]}})

    assert history.document() == {
        "segmentMembership": {
            "xdm:ups": {
                "xdm:a": {
                    "status": "realized",
                    "lastQualificationTime": NOW,
                    "validUntil": UNTIL,
                    "payload": {"value": "xdm:x"},
                }
            }
        },
        "identityMap": {"xdm:E": [{"id": "xdm:1", "primary": True, "xid": [{"a": 1}]}]},
    }


def test_i9_data_of_expiries_and_merges_may_have_the_prefix_too() -> None:
    history = History()
    history.patch(member("realized", BEFORE, validUntil=BEFORE))

    history.event("membership.expired", {"xdm:exit": [{"xdm:namespace": "ups", "xdm:id": "a"}]})
    status = history.document()["segmentMembership"]["ups"]["a"]["status"]
    history.event("profile.merged", {"xdm:into": "p-2"})

    assert status == "exited"
    assert history.replay.profiles == {}


@pytest.mark.parametrize(
    "rubbish", [None, {}, "text", {"a": "realized"}, {"": {"": None}}, [{"primary": 5}], [{"id": 7}]]
)
def test_i9_whatever_stands_under_an_empty_namespace_is_as_not_written(rubbish: Any) -> None:
    history = History()
    history.patch({**member(), "identityMap": {"E": [{"id": "1"}]}})
    before = history.document()

    letter = history.patch({"segmentMembership": {"": rubbish}, "xdm:identityMap": {"": rubbish}}).dead_letter

    assert letter is None
    assert history.document() == before


def test_i9_a_namespace_that_names_only_empty_ids_is_an_empty_list() -> None:
    history = History()
    history.patch({"identityMap": {"E": [{"id": "1"}], "F": [{"id": "1"}]}})

    history.patch(
        {"identityMap": {"E": [{"id": "", "primary": "yes"}, {"xdm:id": ""}], "F": [{"id": ""}, {"id": "2"}]}}
    )

    assert history.document() == {"identityMap": {"F": [{"id": "2"}]}}


@pytest.mark.parametrize("zero", ["0001-01-01T00:00:00Z", "1601-01-01T00:00:00.000+0000", "1970-01-01T01:59:59+02:00"])
@pytest.mark.parametrize("more", [{}, {"version": "1"}])
def test_i9_a_time_before_1970_is_as_missing(zero: str, more: dict[str, Any]) -> None:
    history = History()
    history.patch(member("realized", zero, **more))
    new = history.document()["segmentMembership"]["ups"]["a"]["lastQualificationTime"]
    history.patch(member("realized", BEFORE))
    history.patch(member("realized", zero, **more))
    kept = history.document()["segmentMembership"]["ups"]["a"]["lastQualificationTime"]
    history.patch(member("exited", zero, **more))

    assert (new, kept) == (NOW, BEFORE)
    assert history.document()["segmentMembership"]["ups"]["a"] == {
        "status": "exited",
        "lastQualificationTime": NOW,
        **more,
    }


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"a": {"b": [1, {"c": 2**64}]}}, "data.a.b[1].c: 18446744073709551616"),
        ({"xdm:a": -(2**63) - 1}, "data.a: -9223372036854775809"),
        (
            {"identityMap": {"E": [{"id": "1"}, {"id": "2", "rank": 10**20}]}},
            "data.identityMap.E[1].rank: 100000000000000000000",
        ),
        (
            {"segmentMembership": {"ups": {"a": {"payload": {"x": [-(10**25)]}}}}},
            "data.segmentMembership.ups.a.payload.x[0]: -10000",
        ),
        ({"a": 1e25, "b": [10**25]}, "data.b[0]: 10000000000000000000000000"),
    ],
)
def test_i13_a_whole_number_beyond_64_bits_is_a_bad_number_wherever_it_is_kept(
    data: dict[str, Any], place: str
) -> None:
    letter = History().raw(json.dumps({**GOOD, "data": data}).encode()).dead_letter

    assert letter is not None
    assert letter.reason == "bad_number"
    assert place in letter.explanation


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('{"a":[1e25,-1E+19,12345678901234567890.5]}', {"a": [1e25, -1e19, 12345678901234567890.5]}),
        ('{"a":[1e25,18446744073709551615,-9223372036854775808]}', {"a": [1e25, 2**64 - 1, -(2**63)]}),
        ('{"a":1e25,"xdm:a":18446744073709551616}', {"a": 1e25}),
        ('{"a":1e25,"a":1}', {"a": 1}),
        ('{"a":18446744073709551616,"a":18446744073709551616.0}', {"a": 2.0**64}),
        (
            '{"a":2e19,"identityMap":{"":[{"id":"1","r":20000000000000000000}],"E":[{"id":"","r":20000000000000000000}]}}',
            {"a": 2e19},
        ),
        (
            '{"a":2e19,"xdm:identityMap":20000000000000000000,"identityMap":{},"segmentMembership":{"":20000000000000000000}}',
            {"a": 2e19},
        ),
        ('{"a":20000000000000000000.0,"segmentMembership":null,"identityMap":null}', {"a": 2e19}),
    ],
)
def test_i13_doubles_of_any_size_are_kept_and_what_is_not_kept_is_not_looked_at(
    text: str, kept: dict[str, Any]
) -> None:
    history = History()

    letter = history.raw(with_(data="DATA", rank=10**18).replace(b'"DATA"', text.encode())).dead_letter

    assert letter is None
    assert history.document() == kept


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
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 2), st.text(max_size=2)),
    lambda v: st.dictionaries(names, v),
    max_leaves=5,
)
entries = st.one_of(st.none(), st.fixed_dictionaries({}, optional={"status": st.sampled_from(["realized", "exited"])}))
memberships = st.one_of(
    st.none(), st.dictionaries(st.sampled_from(["ups", "CRM"]), st.one_of(st.none(), st.dictionaries(names, entries)))
)
patches = st.fixed_dictionaries({}, optional={"x": values, "y": values, "segmentMembership": memberships})
events = st.lists(st.tuples(st.sampled_from(["profile.patched", "profile.replaced"]), patches), max_size=12)
FLOWS = (
    flow("ups/a", "CRM/b", attributes=("x.a", "x")),
    flow("ups/b", id="g", membershipGate="none", attributes=("y",)),
)


@settings(max_examples=150, deadline=None)
@given(events)
def test_law_replay_is_deterministic_emits_one_record_a_flow_at_most_and_changes_nothing_in_place(
    history: list[tuple[str, Any]],
) -> None:
    first, second = History(*FLOWS), History(*FLOWS)
    for type_, data in history:
        profile = first.replay.profiles.get(PLACE)
        kept = repr(profile)

        result = first.event(type_, data)

        assert repr(profile) == kept
        assert result == second.event(type_, deepcopy(data))
        assert len({record.flow_id for record in result.records}) == len(result.records)
        assert b":null" not in orjson.dumps(first.document())
