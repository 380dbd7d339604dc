"""Laws that hold for every history and every configuration; the model in `reference` is the judge of content."""

import copy
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from processor.core.catalog import Catalog
from processor.core.replay import Replay
from processor.core.step import Limits, Step, step
from schemas.kafka import ReadRecord
from schemas.profile import Profile
from schemas.wire.profiles_changelog import decode_row, encode_row
from tests.core.reference import ReferenceReplay, format_time, look_up, mapped, mapped_paths, read_time, same_json
from tests.core.strategies import configurations, crowds, histories
from tests.kit.examples import law
from tests.kit.given import a_catalog, line_of, reason

windows = st.sampled_from([0, 1, 1, 2, 5])


def run(configuration: dict[str, Any], history: Iterable[ReadRecord], limits: Limits) -> list[Step]:
    replay = Replay(a_catalog(configuration), limits)
    return [replay.feed(record) for record in history]


def lines_of(steps: Iterable[Step]) -> list[dict[str, Any]]:
    return [line_of(record) for each in steps for record in each.records]


def renumbered(history: list[ReadRecord], factor: int = 1) -> list[ReadRecord]:
    """The same records, each with an offset of its own."""
    return [record._replace(offset=number * factor) for number, record in enumerate(history)]


def fold_all(profiles: dict[bytes | None, Profile | None], history: list[ReadRecord], catalog: Catalog) -> list[Step]:
    steps = []
    for record in history:
        taken = step(profiles.get(record.key), record, catalog, Limits())
        profiles[record.key] = taken.profile
        steps.append(taken)
    return steps


@law(150)
@given(configurations() | crowds(), histories(max_size=16), windows, st.just(524_288))
def test_the_product_sends_what_the_model_sends(
    configuration: dict[str, Any], history: list[ReadRecord], window: int, max_document_bytes: int
) -> None:
    """Sections 1, 3, 4, 7 and F3 to F5: lines, dead letters, what leaves, Kinesis' partition keys and reasons to send
    nothing are equal.
    """
    limits = Limits(max_document_bytes=max_document_bytes, dedup_window=window)
    reference = ReferenceReplay(configuration, max_document_bytes, window)

    steps = run(configuration, history, limits)

    for record, taken in zip(history, steps, strict=True):
        expected, expected_reason = reference.feed_in_full(record)
        wanted = {each.line["flow"]: each for each in expected}
        got = {each.flow_id: each for each in taken.records}
        assert (reason(taken), list(got)) == (expected_reason, list(wanted)), record
        assert taken.skipped == tuple(reference.skipped.items()), record
        for flow_id, sent in wanted.items():
            assert same_json(line_of(got[flow_id]), sent.line), (line_of(got[flow_id]), sent.line)
            assert same_json(parsed_causes(orjson.loads(got[flow_id].value)), parsed_causes(sent.value))
            assert got[flow_id].partition_key == sent.partition_key


def parsed_causes(value: dict[str, Any]) -> dict[str, Any]:
    """An envelope with its `causes` read: how the array is spelled inside the string is not part of the contract."""
    return {**value, "causes": orjson.loads(value["causes"])} if "specversion" in value else value


@law(80)
@given(configurations(), histories(min_size=2), st.integers(0, 14))
def test_any_batching_gives_the_same_and_state_survives_being_stored(
    configuration: dict[str, Any], history: list[ReadRecord], cut: int
) -> None:
    """I6, 4b: fold(xs + ys) = fold(ys, from fold(xs)), also when the state between was written as rows and read
    again.
    """
    history = renumbered(history)
    catalog = a_catalog(configuration)
    whole = fold_all({}, history, catalog)

    profiles: dict[bytes | None, Profile | None] = {}
    first = fold_all(profiles, history[:cut], catalog)
    stored = {key: p and decode_row(encode_row(p, 0)).profile for key, p in profiles.items()}
    second = fold_all(stored, history[cut:], catalog)

    assert same_json(lines_of(first + second), lines_of(whole))


@law(80)
@given(configurations(), histories(min_size=2))
def test_profiles_do_not_touch_each_other(configuration: dict[str, Any], history: list[ReadRecord]) -> None:
    """I6, I12: order counts within a profile only; each, of one key in one partition, alone gives what it gives among
    the others.
    """
    history = renumbered(history)
    apart = defaultdict(list)
    for record in history:
        apart[record.partition, record.key].append(record)

    together = lines_of(run(configuration, history, Limits()))

    one_by_one = [line for own in apart.values() for line in lines_of(run(configuration, own, Limits()))]
    assert sorted(map(repr, one_by_one)) == sorted(map(repr, together))


@law(80)
@given(configurations(), histories())
def test_a_record_read_twice_is_applied_once(configuration: dict[str, Any], history: list[ReadRecord]) -> None:
    """I5 by offset: every record read twice gives what it gives once, dead letters included."""
    history = renumbered(history)

    twice = run(configuration, [record for record in history for _ in range(2)], Limits(dedup_window=0))

    once = run(configuration, history, Limits(dedup_window=0))
    assert lines_of(twice) == lines_of(once)
    assert [each for each in map(reason, twice) if each] == [each for each in map(reason, once) if each]


@law(80)
@given(configurations(), histories(), st.sampled_from([1, 2, 5]))
def test_an_event_written_twice_is_applied_once(
    configuration: dict[str, Any], history: list[ReadRecord], window: int
) -> None:
    """I5 by id: a good event that stands in the log twice in a row counts once (`membership.expired` apart, F5)."""
    sparse = [r for r in renumbered(history, factor=2) if b"membership.expired" not in (r.value or b"")]
    doubled = [copied for r in sparse for copied in (r, r._replace(offset=r.offset + 1))]

    twice = run(configuration, doubled, Limits(dedup_window=window))

    assert lines_of(twice) == lines_of(run(configuration, sparse, Limits(dedup_window=window)))


@law(60)
@given(configurations(), histories())
def test_replay_is_deterministic_to_the_byte(configuration: dict[str, Any], history: list[ReadRecord]) -> None:
    """D3, 4b: the same events give the same ids and the same bytes."""
    one = run(configuration, history, Limits())
    other = run(copy.deepcopy(configuration), history, Limits())

    assert [each.records for each in one] == [each.records for each in other]


@law(80)
@given(configurations(), histories())
def test_an_event_yields_at_most_one_record_a_flow(configuration: dict[str, Any], history: list[ReadRecord]) -> None:
    """A1, D3: at most one record per enabled flow, and no id twice."""
    steps = run(configuration, history, Limits())

    enabled = {flow["id"] for flow in configuration["flows"] if flow["state"] == "enabled"}
    for taken in steps:
        sent = [record.flow_id for record in taken.records]
        assert len(sent) == len(set(sent))
        assert set(sent) <= enabled
    ids = [line["id"] for line in lines_of(steps)]
    assert len(ids) == len(set(ids))


@law(120)
@given(configurations(), histories())
def test_everything_in_a_record_is_mapped_or_allowed(configuration: dict[str, Any], history: list[ReadRecord]) -> None:
    """B1, C1, C2, C4, D1: no attribute that is not mapped, no unmapped audience that is not realized, no other
    field.
    """
    flows = {flow["id"]: flow for flow in configuration["flows"]}

    for line in lines_of(run(configuration, history, Limits())):
        flow, data = flows[line["flow"]], line["data"]
        attributes = {name: value for name, value in data.items() if name not in ("segmentMembership", "identityMap")}
        assert_only_mapped(attributes, [tuple(path.split(".")) for path in mapped_paths(flow)])
        assert_entries_allowed(flow, data["segmentMembership"])
        assert all(data["identityMap"].values())
        assert line["causes"] == sorted(set(line["causes"]))
        assert line["time"] == format_time(read_time(line["time"]))


def assert_only_mapped(tree: Any, paths: list[tuple[str, ...]], above: tuple[str, ...] = ()) -> None:
    for name, value in tree.items():
        path = (*above, name)
        if path in paths:
            continue
        assert isinstance(value, dict), path
        assert any(mapped_path[: len(path)] == path for mapped_path in paths), path
        assert value, "an empty parent"
        assert_only_mapped(value, paths, path)


def assert_entries_allowed(flow: dict[str, Any], membership: dict[str, Any]) -> None:
    options = flow["options"]
    extra = {"name"} if options.get("includeSegmentNames") else set()
    if options.get("includeSegmentTimestamps"):
        extra |= {"createdAt", "updatedAt", "mappingCreatedAt", "mappingUpdatedAt"}
    for namespace, entries in membership.items():
        assert entries, "an empty namespace"
        for audience_id, entry in entries.items():
            is_mapped = (namespace, audience_id) in mapped(flow)
            assert entry.keys() - (extra if is_mapped else set()) == {"lastQualificationTime", "status"}
            assert entry["status"] in (("realized", "exited") if is_mapped else ("realized",))


@law(120)
@given(configurations(), histories())
def test_a_step_never_changes_the_profile_it_was_given(
    configuration: dict[str, Any], history: list[ReadRecord]
) -> None:
    """Documents share structure from step to step, so nothing may be changed in place: every older profile stays."""
    catalog = a_catalog(configuration)
    profiles: dict[bytes | None, Profile | None] = {}
    seen: list[tuple[Profile, str]] = []

    for record in renumbered(history):
        before = profiles.get(record.key)
        profiles[record.key] = step(before, record, catalog, Limits()).profile
        if (after := profiles[record.key]) is not None:
            seen.append((after, repr(after)))

    assert [repr(kept) for kept, _ in seen] == [text for _, text in seen]


@law(120)
@given(configurations(), histories())
def test_the_stored_document_holds_no_nulls_and_fits_its_bound(
    configuration: dict[str, Any], history: list[ReadRecord]
) -> None:
    """I7, I3: no null outside arrays, statuses and times in their normal form; `size_bound_bytes` is never too low."""
    profiles: dict[bytes | None, Profile | None] = {}

    for record, taken in zip(
        renumbered(history), fold_all(profiles, renumbered(history), a_catalog(configuration)), strict=True
    ):
        if taken.profile is None:
            continue
        document = taken.profile.document
        assert not has_null(document), record
        assert len(orjson.dumps(document)) <= taken.profile.size_bound_bytes
        for entries in document.get("segmentMembership", {}).values():
            for entry in entries.values():
                assert entry["status"] in ("realized", "exited")
                assert format_time(read_time(entry["lastQualificationTime"])) == entry["lastQualificationTime"]


def has_null(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and any(map(has_null, value.values())))


@law(60)
@given(configurations(), histories())
def test_a_dead_letter_changes_no_state_and_keeps_the_bytes(
    configuration: dict[str, Any], history: list[ReadRecord]
) -> None:
    """I4: key and value as they were, the profile as it was, nothing sent."""
    catalog = a_catalog(configuration)
    profiles: dict[bytes | None, Profile | None] = {}

    for record in renumbered(history):
        before = profiles.get(record.key)
        taken = step(before, record, catalog, Limits())
        profiles[record.key] = taken.profile
        if (letter := taken.dead_letter) is not None:
            assert (letter.topic, letter.partition, letter.offset) == record[:3]
            assert (letter.key, letter.value) == (record.key, record.value)
            assert letter.explanation
            assert taken.profile == before
            assert taken.records == ()


@law(60)
@given(configurations(), histories())
def test_version_counts_the_events_applied_without_a_hole(
    configuration: dict[str, Any], history: list[ReadRecord]
) -> None:
    """4b: from 1, one more with every event applied, and from 1 again after the end of a profile."""
    profiles: dict[bytes | None, Profile | None] = {}

    for record in renumbered(history):
        before = profiles.get(record.key)
        taken = step(before, record, a_catalog(configuration), Limits())
        profiles[record.key] = taken.profile
        expected = 1 if before is None else before.version + 1
        if taken.profile is not None and taken.profile is not before and taken.profile != before:
            assert taken.profile.version == expected
        assert all(sent.version == expected for sent in taken.records)


def test_look_up_of_the_model_stops_at_arrays() -> None:
    """M3: nothing inside arrays is addressed; the model is held to it too."""
    assert not isinstance(look_up({"a": [{"b": 1}]}, ("a", "b")), int)
