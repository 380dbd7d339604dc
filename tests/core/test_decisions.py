"""When a record leaves and what it contains (contract sections 3 and 4, F3, F4, G5)."""

from hashlib import sha256

import orjson
import pytest

from processor.core.decide import SkipReason
from schemas.audience import Audience
from tests.kit.builders import BEFORE, NOW, History, flow, member, only


def test_the_worked_example_of_the_contract() -> None:
    """Three mapped audiences, four mapped attributes: one record, four attributes, three audiences, not the fourth.

    Rules A1, B1, B3, C1 and C2.
    """
    policies = {
        "aud-delorean": "mp-1",
        "aud-b": "mp-1",
        "aud-c": "mp-1",
        "aud-scifi": "mp-1",
        "aud-old": "mp-1",
        "other": "mp-2",
    }
    audiences = tuple(
        Audience.model_validate({"namespace": "ups", "id": i, "mergePolicyId": p}) for i, p in policies.items()
    )
    mapped = flow(
        "ups/aud-delorean", "ups/aud-b", "ups/aud-c",
        attributes=("person.name.firstName", "person.name.lastName", "personalEmail.address", "_acme.tier"),
    )  # fmt: skip
    history = History(mapped, audiences=audiences)
    history.patch(
        {
            "person": {"name": {"firstName": "Ada", "lastName": "L"}, "birthDate": "1815"},
            "personalEmail": {"address": "ada@example.com"},
            "_acme": {"tier": "gold"},
            "segmentMembership": {
                "ups": {i: {"lastQualificationTime": BEFORE} for i in ("aud-scifi", "aud-old", "other")}
            },
            "identityMap": {"ECID": [{"id": "145750", "primary": True}]},
        }
    )

    result = history.patch(member(audience="aud-delorean"))

    assert result.records[0].causes == ("segment:ups/aud-delorean:realized",)
    record = only(result)
    assert set(record.pop("segmentMembership")["ups"]) == {"aud-delorean", "aud-scifi", "aud-old"}
    assert record == {
        "person": {"name": {"firstName": "Ada", "lastName": "L"}},
        "personalEmail": {"address": "ada@example.com"},
        "_acme": {"tier": "gold"},
        "identityMap": {"ECID": [{"id": "145750"}]},
    }


@pytest.mark.parametrize(
    ("first", "second", "cause"),
    [
        (None, "realized", "segment:ups/a:realized"),
        ("exited", "realized", "segment:ups/a:realized"),
        ("realized", "exited", "segment:ups/a:exited"),
        ("existing", "exiting", "segment:ups/a:exited"),
        ("realized", "existing", None),
        (None, "exited", None),
    ],
)
def test_a2_a3_only_transitions_are_causes(first: str | None, second: str, cause: str | None) -> None:
    history = History(flow("ups/a"))
    if first:
        history.patch(member(first))

    result = history.patch(member(second))

    assert [record.causes for record in result.records] == ([(cause,)] if cause else [])


def test_a4_a_transition_of_an_unmapped_audience_alone_causes_nothing() -> None:
    assert History(flow("ups/a")).patch(member(audience="b")).skipped == (("f", SkipReason.NOTHING_MAPPED_CHANGED),)


def test_a5_the_order_of_identities_is_no_change_and_an_empty_list_is_as_absent() -> None:
    history = History(flow("ups/a"))
    history.patch({**member(), "identityMap": {"E": [{"id": "1"}, {"id": "2"}]}})

    assert not history.patch({"identityMap": {"E": [{"id": "2"}, {"id": "1"}], "X": []}}).records
    assert history.patch({"identityMap": {"E": [{"id": "2"}]}}).records[0].causes == ("identity:E",)
    assert only(history.patch({"identityMap": {"E": []}}))["identityMap"] == {}


@pytest.mark.parametrize(
    ("patch", "written"),
    [
        ({"a": {"b": 1}}, True),
        ({"a": {"b": {}}}, True),
        ({"a": {"c": 2}}, False),
        ({"a": None}, True),
        ({"a": 5}, True),
        ({"a": {"b": {"x": None}}}, True),
        ({"z": None}, False),
    ],
)
def test_a6_a7_a_write_of_a_mapped_path_alone_is_a_cause_also_of_the_same_value(patch: object, written: bool) -> None:
    history = History(flow("ups/a", attributes=("a.b",)))
    history.patch({**member(), "a": {"b": 1}})

    assert [record.causes for record in history.patch(patch).records] == ([("attribute:a.b",)] if written else [])


def test_a6_suppress_unchanged_compares_json_values() -> None:
    history = History(flow("ups/a", attributes=("n",), suppressUnchanged=True))
    history.patch({**member(), "n": 1})

    assert history.patch({"n": 1.0}).skipped == (("f", SkipReason.UNCHANGED),)
    assert history.patch({"n": True}).records


def test_a8_removing_a_mapped_attribute_is_a_cause_and_the_record_lacks_it() -> None:
    history = History(flow("ups/a", attributes=("p.n",)))
    history.patch({**member(), "p": {"n": "x"}})

    assert "p" not in only(history.patch({"p": {"n": None}}))


@pytest.mark.parametrize(("gate", "leaves"), [("realized", False), ("everQualified", True), ("none", True)])
def test_a9_the_gate_holds_back_attributes_and_identities(gate: str, leaves: bool) -> None:
    history = History(flow("ups/a", attributes=("n",), membershipGate=gate))
    history.patch(member("exited"))

    assert bool(history.patch({"n": 1}).records) is leaves


def test_a10_a13_a_record_is_suppressed_only_if_every_cause_is_off_and_lists_them_all() -> None:
    off = {"attributes": True, "segments": False, "externalSegments": True, "identities": True}
    history = History(flow("ups/a", attributes=("n",), triggers=off))

    assert history.patch({**member(), "n": 1}).records[0].causes == ("attribute:n", "segment:ups/a:realized")
    assert history.patch(member("exited")).skipped == (("f", SkipReason.TRIGGER_OFF),)


def test_a12_a_disabled_flow_sends_nothing_and_state_advances() -> None:
    history = History(flow("ups/a", state="disabled"))

    assert history.patch(member()).skipped == (("f", SkipReason.FLOW_DISABLED),)
    assert history.document()["segmentMembership"]["ups"]["a"]["status"] == "realized"


def test_b2_m3_an_empty_map_leaves_and_an_array_only_when_allowed() -> None:
    data = {**member(), "m": {}, "list": [1], "in": {"list": [1, None]}}

    assert only(History(flow("ups/a", attributes=("m", "list", "in"))).patch(data)).keys() >= {"m", "in"}
    assert "list" not in only(History(flow("ups/a", attributes=("list",))).patch(data))
    assert only(History(flow("ups/a", attributes=("list",), allowArrays=True)).patch(data))["list"] == [1]


@pytest.mark.parametrize(("exited_at", "listed"), [("2025-12-12T23:37:33Z", True), ("2025-12-12T23:37:32Z", False)])
def test_c2_an_exited_audience_is_listed_for_thirty_days_to_the_second(exited_at: str, listed: bool) -> None:
    history = History(flow("ups/a", "ups/b"))
    history.patch(member("exited", exited_at, audience="b"))

    assert ("b" in only(history.patch(member()))["segmentMembership"]["ups"]) is listed


@pytest.mark.parametrize(("scope", "unmapped"), [("adobe", {"same"}), ("mapped", set()), ("all", {"same", "other"})])
def test_c2_the_scope_says_which_unmapped_audiences_are_listed(scope: str, unmapped: set[str]) -> None:
    other = Audience.model_validate({"namespace": "ups", "id": "other", "mergePolicyId": "mp-2"})
    history = History(flow("ups/a", membershipScope=scope), audiences=(other,))
    history.patch({"segmentMembership": {"ups": {"same": {}, "other": {}}}})

    assert set(only(history.patch(member()))["segmentMembership"]["ups"]) == {"a", *unmapped}


def test_c4_c5_c6_entries_show_names_and_times_of_mapped_audiences_and_nothing_else() -> None:
    audience = Audience.model_validate(
        {"namespace": "ups", "id": "a", "name": "A", "createdAt": "1970-01-01T00:00:01Z"}
    )
    history = History(flow("ups/a", includeSegmentNames=True, includeSegmentTimestamps=True), audiences=(audience,))

    entry = only(history.patch(member(validUntil=NOW, payload=1)))["segmentMembership"]["ups"]["a"]

    assert entry == {"status": "realized", "lastQualificationTime": NOW, "name": "A", "createdAt": 1000}


def test_d1_lowercase_namespaces_are_joined_in_code_point_order() -> None:
    history = History(flow("ups/a", lowercaseNamespaces=True, identityFields="all"))
    result = history.patch({**member(), "identityMap": {"ecid": [{"id": "2"}], "ECID": [{"id": "1", "primary": True}]}})

    assert only(result)["identityMap"] == {"ecid": [{"id": "1", "primary": True}, {"id": "2"}]}


def test_d2_d3_the_envelope_carries_the_record_id_the_version_and_the_causes() -> None:
    (record,) = History(flow("ups/a", envelope="cloudevents")).patch(member()).records

    envelope = orjson.loads(record.value)

    assert record.id == envelope["id"] == "profile-events-0-0-f"
    assert (envelope["profileversion"], envelope["causes"]) == (1, '["segment:ups/a:realized"]')
    assert envelope["data"] == orjson.loads(record.data)


def test_f3_a_deletion_sends_the_audiences_left_and_no_attributes() -> None:
    history = History(flow("ups/a", attributes=("n",)))
    history.patch({**member(), "n": 1, "identityMap": {"E": [{"id": "1"}]}})

    (record,) = (result := history.event("profile.deleted")).records

    assert record.version == 2
    entry = {"status": "exited", "lastQualificationTime": NOW}
    assert only(result) == {"segmentMembership": {"ups": {"a": entry}}, "identityMap": {"E": [{"id": "1"}]}}
    assert history.replay.profiles == {}


def test_f3_f4_a_silent_deletion_and_a_merge_send_nothing() -> None:
    silent, merged = History(flow("ups/a", onDelete="silent")), History(flow("ups/a"))
    silent.patch(member())
    merged.patch(member())

    assert silent.event("profile.deleted").skipped == (("f", SkipReason.DELETED_SILENTLY),)
    assert merged.event("profile.merged", {"into": "p-2"}).skipped == (("f", SkipReason.MERGED_SILENTLY),)


def test_a11_of_a_hundred_members_five_that_newly_qualify_are_five_records() -> None:
    history = History(flow("ups/a"))

    def qualify(numbers: range) -> list[str]:
        event = {"specversion": "1.0", "source": "/u", "type": "profile.patched", "time": NOW, "data": member()}
        steps = [history.raw(orjson.dumps({**event, "id": f"{numbers}"}), key=b"p-%d" % number) for number in numbers]
        return [record.key for step in steps for record in step.records]

    assert len(qualify(range(95))) == 95
    assert qualify(range(100)) == [f"p-{number}" for number in range(95, 100)]


@pytest.mark.parametrize("written", ["2026-01-12T00:37:33.9+01:00", "2026-01-11t23:37:33z", "2026-01-11 23:37:33+0000"])
def test_c8_a_time_leaves_in_utc_and_to_the_second(written: str) -> None:
    history = History(flow("ups/a"))

    content = only(history.patch({"segmentMembership": {"ups": {"a": {"lastQualificationTime": written}}}}))

    assert content["segmentMembership"]["ups"]["a"]["lastQualificationTime"] == "2026-01-11T23:37:33Z"


def test_c7_namespaces_and_ids_leave_as_they_are_stored() -> None:
    history = History(flow("Ads.Partner/ÄÖ 1"))

    content = only(
        history.patch({**member(audience="ÄÖ 1", namespace="Ads.Partner"), "identityMap": {"eCid": [{"id": " 0x1F "}]}})
    )

    assert list(content["segmentMembership"]) == ["Ads.Partner"]
    assert list(content["segmentMembership"]["Ads.Partner"]) == ["ÄÖ 1"]
    assert content["identityMap"] == {"eCid": [{"id": " 0x1F "}]}


@pytest.mark.parametrize(
    ("option", "key"), [("profileId", "p-1"), ("identity:E", "2"), ("attribute:n", "7"), ("attribute:x", "p-1")]
)
def test_g5_the_partition_key_is_what_the_flow_asks_for(option: str, key: str) -> None:
    data = {**member(), "n": 7, "identityMap": {"E": [{"id": "1"}, {"id": "2", "primary": True}]}}

    assert History(flow("ups/a", partitionKey=option)).patch(data).records[0].partition_key == key


def sha256_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("k" * 256, "k" * 256),
        ("k" * 257, sha256_of("k" * 257)),
        ("é" * 256, "é" * 256),
        ("é" * 300, sha256_of("é" * 300)),
        ("李 🜚", "李 🜚"),
        ("", "p-1"),
        (True, "true"),
        ([], "p-1"),
        ({}, "p-1"),
    ],
)
def test_g5_a_partition_key_has_1_to_256_characters_of_any_kind(value: object, key: str) -> None:
    assert (
        History(flow("ups/a", partitionKey="attribute:n")).patch({**member(), "n": value}).records[0].partition_key
        == key
    )
