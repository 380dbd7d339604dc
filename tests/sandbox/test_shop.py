"""The made-up shop writes what the contract allows, and what it does not allow for the reason it says."""

from collections import Counter, defaultdict

import orjson
import pytest

from processor.core.catalog import Catalog
from processor.core.parse import parse_event
from processor.core.replay import Replay
from processor.core.step import EventSkip, Step
from processor.core.unusable import Unusable
from processor.sandbox.flows import fill_shop_template, parse_shop_configuration
from processor.sandbox.shop import EVENTS, Kind, ShopEvent, shop_events
from schemas.dead_letter import DeadLetterReason
from schemas.event import EventType
from schemas.export import ExportRecord
from schemas.kafka import ReadRecord

pytestmark = pytest.mark.xdist_group("demo-shop")  # the module's fixtures are made once

BROKER_KEEPS_BYTES = 5_000_000  # of each partition, see broker.py


def source(offset: int, event: ShopEvent) -> ReadRecord:
    return ReadRecord("profile-events", 0, offset, event.timestamp, event.key, event.value)


def replayed(events: list[ShopEvent]) -> list[Step]:
    said = parse_shop_configuration(fill_shop_template("http://127.0.0.1:1"))
    run = Replay(Catalog.of(said.flows, said.audiences))
    return [run.feed(source(offset, event)) for offset, event in enumerate(events)]


@pytest.fixture(scope="module")
def events() -> list[ShopEvent]:
    return list(shop_events())


@pytest.fixture(scope="module")
def steps(events: list[ShopEvent]) -> list[Step]:
    return replayed(events)


@pytest.fixture(scope="module")
def records(steps: list[Step]) -> list[ExportRecord]:
    return [record for step in steps for record in step.records]


def test_the_same_seed_gives_the_same_events(events: list[ShopEvent]) -> None:
    assert list(shop_events()) == events
    assert list(shop_events(seed=8)) != events


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_of_event_happens_also_in_a_small_shop_with_any_seed(seed: int) -> None:
    kinds = Counter(event.kind for event in shop_events(1000, customers=150, seed=seed))

    assert set(kinds) == set(Kind)


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_an_event_is_usable_or_put_aside_for_the_reason_it_names(seed: int | None, events: list[ShopEvent]) -> None:
    for offset, event in enumerate(events if seed is None else shop_events(seed=seed)):
        if event.reason is None:
            parse_event(source(offset, event))
        else:
            with pytest.raises(Unusable) as refused:
                parse_event(source(offset, event))
            assert refused.value.reason is event.reason


def test_unusable_events_are_of_every_kind_that_a_single_event_can_be(events: list[ShopEvent]) -> None:
    reasons = {event.reason for event in events if event.kind is Kind.BAD}

    in_delivery = {DeadLetterReason.RECORD_TOO_LARGE, DeadLetterReason.REJECTED, DeadLetterReason.FLOW_DELETED}
    assert reasons == set(DeadLetterReason) - in_delivery - {DeadLetterReason.DOCUMENT_TOO_LARGE}


def test_an_event_is_what_its_kind_says(events: list[ShopEvent], steps: list[Step]) -> None:
    ends = {Kind.MERGED: EventType.MERGED, Kind.DELETED: EventType.DELETED, Kind.REPLACED: EventType.REPLACED}
    for event, step in zip(events, steps, strict=True):
        if event.kind in ends:
            assert event.value is not None
            assert orjson.loads(event.value)["type"] == ends[event.kind]
        assert (event.value is None) == (event.kind is Kind.TOMBSTONE)
        assert (step.dead_letter is not None) == (event.kind is Kind.BAD)
        assert (step.skipped_event is EventSkip.DUPLICATE_EVENT) == (event.kind is Kind.REPEATED)
        assert not (step.records and event.kind is Kind.UNMAPPED)


def test_a_membership_begins_or_ends_where_the_kind_says_so(events: list[ShopEvent], steps: list[Step]) -> None:
    wanted = {Kind.QUALIFIED: ":realized", Kind.EXITED: ":exited"}
    for event, step in zip(events, steps, strict=True):
        if event.kind in wanted:
            causes = [cause for record in step.records for cause in record.causes]
            assert all(cause.startswith("segment:") and cause.endswith(wanted[event.kind]) for cause in causes)


def test_every_flow_has_something_to_send_but_the_one_that_is_switched_off(records: list[ExportRecord]) -> None:
    sent = Counter(record.flow_id for record in records)

    assert set(sent) == {"vip-to-crm", "newsletter", "customer-360"}
    assert min(sent.values()) > EVENTS / 20


def test_a_profile_keeps_its_partition_key_so_that_its_lane_stays_in_one_shard(records: list[ExportRecord]) -> None:
    keys = defaultdict(set)
    for record in records:
        keys[record.flow_id, record.key].add(record.partition_key)

    assert all(len(of_lane) == 1 for of_lane in keys.values())


def test_all_of_it_stays_far_below_what_the_embedded_broker_keeps(
    events: list[ShopEvent], steps: list[Step], records: list[ExportRecord]
) -> None:
    headers_bytes = 400
    partitions = 4

    exports = sum(len(record.value) + headers_bytes for record in records)
    rows = sum(len(orjson.dumps(step.profile.document)) + headers_bytes for step in steps if step.profile is not None)

    assert sum(len(event.value or b"") for event in events) / partitions < BROKER_KEEPS_BYTES / 10
    assert exports / partitions < BROKER_KEEPS_BYTES / 5
    assert rows / partitions < BROKER_KEEPS_BYTES / 5


def test_an_event_tells_nothing_of_a_real_person(events: list[ShopEvent]) -> None:
    addresses = [
        text for event in events for text in (event.value or b"").split(b'"') if b"@" in text and event.reason is None
    ]

    assert addresses
    assert all(address.endswith(b"@example.com") and address.isascii() for address in addresses)
