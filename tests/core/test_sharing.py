"""What makes the core fast: what an event does not change is shared, entries are kept as text.

Each trick, and where it must not reach.
"""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.core.json_values import canonical, has_same_items, is_same_json, merge_patch
from processor.core.shape import MAX_NESTING
from schemas.audience import Audience
from schemas.profile import EXITED, REALIZED, Profile, xdm_entry
from tests.core import reference
from tests.core.reference import same_items as naive_same_items
from tests.core.reference import same_json as naive_same_json
from tests.kit.builders import BEFORE, NOW, History, flow, member, only
from tests.kit.examples import law

names = st.sampled_from(["a", "b", "c"])
scalars = st.sampled_from([0, 1, 1.0, 0.0, -0.0, True, False, "", "1", "x"])
values = st.recursive(
    scalars, lambda inner: st.dictionaries(names, inner) | st.lists(inner | st.none(), max_size=2), max_leaves=6
)
patches = st.dictionaries(
    names,
    st.recursive(scalars | st.none() | st.lists(scalars), lambda inner: st.dictionaries(names, inner), max_leaves=6),
)


@law(400)
@given(st.dictionaries(names, values), patches)
def test_a_merge_patch_gives_what_rfc_7396_says_to_the_byte_and_itself_where_it_changes_nothing(
    target: Any, patch: Any
) -> None:
    before = orjson.dumps(target)

    result = merge_patch(target, patch)

    assert orjson.dumps(result, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        reference.merge_patch(target, patch), option=orjson.OPT_SORT_KEYS
    )
    assert orjson.dumps(target) == before
    assert merge_patch(result, {name: value for name, value in result.items() if isinstance(value, str)}) is result


@law(400)
@given(values, values)
def test_equality_of_json_values_is_the_models(left: Any, right: Any) -> None:
    """A5, A6: 1 = 1.0, true is not 1; a list as a multiset."""
    assert is_same_json(left, right) == naive_same_json(left, right) == (canonical(left) == canonical(right))
    assert has_same_items([left, right], [right, left])
    assert has_same_items([left], [right]) == naive_same_items([left], [right])


@pytest.mark.parametrize(("first", "second", "changed"), [(True, 1, True), (1, 1.0, False), (False, None, True)])
def test_a5_a_field_that_python_calls_equal_is_compared_as_json(first: object, second: object, changed: bool) -> None:
    history = History(flow("ups/a"))
    history.patch({**member(), "identityMap": {"E": [{"id": "1", "weight": first}]}})

    result = history.patch({"identityMap": {"E": [{"id": "1", "weight": second}]}})

    assert bool(result.records) is changed
    assert (
        history.document()["identityMap"]["E"][0]["weight"] is second
        or history.document()["identityMap"]["E"][0]["weight"] == second
    )


def test_an_event_that_writes_what_is_there_shares_attributes_and_identities() -> None:
    history = History()
    data = {"person": {"name": {"first": "Ada"}, "tags": {}}, "identityMap": {"E": [{"id": "1", "primary": True}]}}
    history.patch(data)
    before = history.profile

    history.patch({"person": {"name": {"first": "Ada"}}, "identityMap": data["identityMap"]})

    after = history.profile
    assert after.attributes is before.attributes
    assert after.identities is before.identities


def test_c2_entries_compare_as_text() -> None:
    """Realized above exited, later above earlier: what the 30 days and the gate lean on."""
    entries = [
        EXITED + "0001-01-01T00:00:00Z",
        EXITED + BEFORE,
        EXITED + NOW,
        REALIZED + "0001-01-01T00:00:00Z",
        REALIZED + NOW,
    ]

    assert sorted(entries) == entries
    assert EXITED + "9999-12-31T23:59:59Z" < REALIZED
    assert xdm_entry(REALIZED + NOW) == {"lastQualificationTime": NOW, "status": "realized"}


def test_i2_fields_beside_status_and_time_are_merged_kept_and_go_with_a_removal() -> None:
    history = History()
    history.patch(member("realized", BEFORE, validUntil="2027-01-01T00:00:00Z", version="1"))
    history.patch(member("exited", NOW))
    kept = history.document()["segmentMembership"]["ups"]["a"]
    history.patch(member("realized", NOW, version=None))
    merged_entry = history.document()["segmentMembership"]["ups"]["a"]
    history.patch({"segmentMembership": {"ups": {"a": None}}})

    assert kept == {"lastQualificationTime": NOW, "status": "exited", "version": "1"}, "I7: the end went with the exit"
    assert merged_entry == {"lastQualificationTime": NOW, "status": "realized"}
    assert history.document() == {
        "segmentMembership": {"ups": {"a": {"lastQualificationTime": NOW, "status": "exited"}}}
    }
    assert history.profile.entry_fields == {}


def test_a_profile_without_memberships_or_identities_keeps_no_empty_maps() -> None:
    """C1, A5: no empty namespaces, an empty list is as absent; so the document and its size hold neither (I4)."""
    history = History()
    history.patch({**member("exited"), "identityMap": {"E": [{"id": "1"}], "X": []}})
    history.patch({"segmentMembership": {"ups": {"a": None}, "CRM": {}}, "identityMap": {"E": []}})

    profile = history.profile
    assert (profile.attributes, profile.identities, profile.memberships, profile.entry_fields) == ({}, {}, {}, {})
    assert history.document() == {}


def test_the_document_puts_the_parts_together() -> None:
    profile = Profile(
        {"a": 1}, {"E": [{"id": "1"}]}, {"ups": {"x": "e" + NOW}}, {"ups": {"x": {"version": "2"}}}, 1, (), 0
    )

    assert profile.document == {
        "a": 1,
        "segmentMembership": {"ups": {"x": {"lastQualificationTime": NOW, "status": "exited", "version": "2"}}},
        "identityMap": {"E": [{"id": "1"}]},
    }


def test_c2_merge_policies_decide_of_described_and_of_unknown_audiences_alike() -> None:
    """Nobody described `unknown`: its merge policy is `default`, as that of the mapped one that caused the record
    (M1).
    """
    other = Audience.model_validate({"namespace": "ups", "id": "other", "mergePolicyId": "mp-2"})
    entries = {"segmentMembership": {"ups": {"unknown": {}, "other": {}}, "CRM": {"unknown": {}}}}
    history = History(flow("ups/a"), audiences=(other,))
    history.patch(entries)

    assert {
        namespace: set(listed) for namespace, listed in only(history.patch(member()))["segmentMembership"].items()
    } == {
        "ups": {"a", "unknown"},
        "CRM": {"unknown"},
    }


def test_c3_the_audience_that_caused_the_record_is_listed_however_old_its_exit() -> None:
    history = History(flow("ups/a", "ups/b"))
    history.patch(member("realized", "2020-01-01T00:00:00Z"))

    assert only(history.patch(member("exited", "2020-01-02T00:00:00Z")))["segmentMembership"]["ups"].keys() == {"a"}


@pytest.mark.parametrize("opening", ['{"":', "["])
@pytest.mark.parametrize(("levels", "reason"), [(MAX_NESTING - 2, None), (MAX_NESTING - 1, "bad_shape")])
def test_i4_nesting_is_counted_in_the_shortest_event_that_can_hold_it(
    opening: str, levels: int, reason: str | None
) -> None:
    """Two levels are the event and its data. Events that are too short for so many maps are not counted through."""
    closing = "}" if opening.startswith("{") else "]"
    value = f"{opening * levels}{'0' if opening.startswith('{') else ''}{closing * levels}"
    event = (
        f'{{"specversion":"1.0","id":"x","source":"u","type":"profile.patched","time":"{NOW}","data":{{"a":{value}}}}}'
    )

    letter = History().raw(event.encode()).dead_letter

    assert (letter.reason if letter else None) == reason
