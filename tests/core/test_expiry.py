"""When memberships end, and the events that say so (contract F5)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.core.catalog import Catalog
from processor.core.expiry import expiries, new_deadline, next_deadline
from processor.core.replay import Replay
from schemas.kafka import ReadRecord
from schemas.profile import Profile
from schemas.times import MAX_SECONDS, MIN_SECONDS, plus_days, plus_second
from tests.kit.examples import law
from tests.kit.given import cloud_event, membership

UPS = "ups/a"
EXTERNAL = "CustomerAudienceUpload/csv"
OLD = "2026-01-01T00:00:00Z"
THIRTY_DAYS_ON = "2026-01-31T00:00:00Z"
A_SECOND_LATER = "2026-01-31T00:00:01Z"
UNTIL = "2026-03-01T12:00:00Z"
FAR = "9999-12-31T23:59:59Z"


def profile(entries: dict[str, Any]) -> Profile:
    run = Replay(Catalog.of((), ()))
    value = orjson.dumps(cloud_event(membership(entries)))
    run.feed(ReadRecord("t", 0, 0, 0, b"p-1", value))
    return run.profiles["t", 0, b"p-1"]


def entry(status: str, time: str = OLD, **more: Any) -> dict[str, Any]:
    return {"status": status, "lastQualificationTime": time, **more}


@pytest.mark.parametrize(
    ("entries", "deadline"),
    [
        ({UPS: entry("realized")}, ""),
        ({UPS: entry("realized", validUntil=UNTIL)}, UNTIL),
        ({UPS: entry("realized", validUntil="2026-03-01T13:00:00.9+01:00")}, UNTIL),
        ({EXTERNAL: entry("realized")}, THIRTY_DAYS_ON),
        ({EXTERNAL: entry("realized", validUntil=UNTIL)}, UNTIL),
        ({UPS: entry("exited")}, A_SECOND_LATER),
        ({UPS: entry("exited", validUntil=UNTIL)}, A_SECOND_LATER),
        ({UPS: entry("exited"), EXTERNAL: entry("realized")}, THIRTY_DAYS_ON),
        ({EXTERNAL: entry("realized", "9999-12-25T00:00:00Z")}, ""),
        ({UPS: entry("exited", "9999-12-25T00:00:00Z")}, ""),
        ({UPS: entry("realized", validUntil=FAR)}, FAR),
        ({}, ""),
    ],
)
def test_f5_the_earliest_deadline(entries: dict[str, Any], deadline: str) -> None:
    assert next_deadline(profile(entries)) == deadline


def test_f5_the_event_names_what_ends_and_has_the_deadline_for_its_time_and_id() -> None:
    stands = profile(
        {EXTERNAL: entry("realized"), UPS: entry("realized"), "ups/b": entry("exited", "2025-12-31T23:59:59Z")}
    )

    events, last = expiries("p-1", stands, THIRTY_DAYS_ON)

    assert last == THIRTY_DAYS_ON
    assert [orjson.loads(event) for event in events] == [
        {
            "specversion": "1.0",
            "id": f"expiry-p-1-{THIRTY_DAYS_ON}",
            "source": "/profile-exporter",
            "type": "membership.expired",
            "subject": "p-1",
            "time": THIRTY_DAYS_ON,
            "data": {
                "exit": [{"namespace": "CustomerAudienceUpload", "id": "csv"}],
                "purge": [{"namespace": "ups", "id": "b"}],
            },
        }
    ]


def test_f5_nothing_is_due_before_its_deadline() -> None:
    assert expiries("p-1", profile({EXTERNAL: entry("realized")}), "2026-01-30T23:59:59Z") == ([], "")


def test_f5_after_a_long_time_every_deadline_has_its_event_and_what_ended_is_purged_as_well() -> None:
    events, last = expiries("p-1", profile({EXTERNAL: entry("realized"), UPS: entry("exited")}), "2027-01-01T00:00:00Z")

    told = [(event["time"], sorted(event["data"])) for event in map(orjson.loads, events)]
    assert told == [(THIRTY_DAYS_ON, ["exit"]), (A_SECOND_LATER, ["purge"]), ("2026-03-02T00:00:01Z", ["purge"])]
    assert last == "2026-03-02T00:00:01Z"


def test_f5_applied_they_leave_nothing_that_is_past_its_deadline() -> None:
    run = Replay(Catalog.of((), ()))
    entries = {
        EXTERNAL: entry("realized"),
        UPS: entry("exited"),
        "ups/b": entry("realized", validUntil=OLD),
        "ups/c": entry("realized"),
    }
    run.feed(ReadRecord("t", 0, 0, 0, b"p-1", orjson.dumps(cloud_event(membership(entries)))))
    events, _ = expiries("p-1", run.profiles["t", 0, b"p-1"], "2027-01-01T00:00:00Z")

    for offset, event in enumerate(events, 1):
        run.feed(ReadRecord("t", 0, offset, 0, b"p-1", event))

    assert run.profiles["t", 0, b"p-1"].memberships == {"ups": {"c": f"r{OLD}"}}


moments = st.integers(MIN_SECONDS, MAX_SECONDS).map(
    lambda seconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


@law(300)
@given(moments, st.integers(-40, 40) | st.integers(-4_000_000, 4_000_000))
def test_law_days_and_a_second_are_added_as_the_calendar_does(moment: datetime, days: int) -> None:
    """Both are computed from the text; held within the years 1 to 9999."""
    try:
        moved = moment + timedelta(days=days)
    except OverflowError:
        moved = datetime(9999, 12, 31, 23, 59, 59) if days > 0 else datetime(1, 1, 1)

    assert plus_days(c8(moment), days) == c8(moved)
    if moment < datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC):
        assert plus_second(c8(moment)) == c8(moment + timedelta(seconds=1))


def c8(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat() + "Z"


some_entries = st.dictionaries(
    st.sampled_from([UPS, "ups/b", "ups/c", EXTERNAL, "ext/x"]),
    st.builds(
        lambda status, time, until: entry(status, time, **({} if until is None else {"validUntil": until})),
        st.sampled_from(["realized", "exited"]),
        moments.map(c8),
        st.none() | st.none() | moments.map(c8),
    ),
)


@law(300)
@given(some_entries, some_entries)
def test_law_what_an_event_makes_is_the_earliest_deadline_of_what_it_changed(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    """Looked up entry by entry, in profiles that hold nothing else."""
    run = Replay(Catalog.of((), ()))
    for offset, entries in enumerate((first, second)):
        before = run.profiles.get(("t", 0, b"p-1"))
        run.feed(
            ReadRecord("t", 0, offset, 0, b"p-1", orjson.dumps(cloud_event(membership(entries), id=f"e-{offset}")))
        )
    after = run.profiles["t", 0, b"p-1"]

    found = new_deadline(before, after)

    if before is None or before.entry_fields is not after.entry_fields:
        assert found == next_deadline(after)
        return
    changed = [
        next_deadline(replace(after, memberships={namespace: {audience: text}}))
        for namespace, audiences in after.memberships.items()
        for audience, text in audiences.items()
        if before.memberships.get(namespace, {}).get(audience) != text
    ]
    assert found == min([each for each in changed if each], default="")


def test_f5_the_events_of_a_profile_stay_small_however_long_its_namespaces_are_and_all_of_it_ends() -> None:
    """Each item names its namespace again: a thousand entries below one of 50,000 characters made an event of 50 MB,
    which no topic takes.
    """
    run = Replay(Catalog.of((), ()))
    entries = {f"{'n' * 50_000}/{number}": entry("realized", validUntil=UNTIL) for number in range(20)}
    run.feed(ReadRecord("t", 0, 0, 0, b"p-1", orjson.dumps(cloud_event(membership(entries)))))

    sizes = []
    for offset in range(1, 30):
        events, last = expiries("p-1", run.profiles["t", 0, b"p-1"], UNTIL)
        if not events:
            break
        assert last == UNTIL
        sizes.append(sum(map(len, events)))
        for event in events:
            run.feed(ReadRecord("t", 0, offset, 0, b"p-1", event))

    assert max(sizes) < 250_000
    assert {
        text[0] for audiences in run.profiles["t", 0, b"p-1"].memberships.values() for text in audiences.values()
    } == {"e"}
