"""Does a stream keep the order of lanes, by the shards and sequence numbers of its responses (G1, G3)."""

from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from processor.delivery.kinesis.responses import classify_response
from processor.delivery.lanes.lanes import FlowLanes, Lane, Waiting
from processor.delivery.lanes.no_destination import Unknown
from processor.delivery.lanes.order_check import MOST_LANES, OrderCheck, OrderFault
from schemas.destination import Destination
from schemas.export import Export
from schemas.wire.exports import decode_export
from tests.delivery.fakes import World, a_destination, a_progress, export_record
from tests.kit.virtual_time import in_virtual_time

SEQUENCE = 49590338271490256608559692538361571095921575989136588898
"""As AWS gives them: 56 digits."""


def entry(sequence: int, shard: int = 0) -> dict[str, Any]:
    return {"SequenceNumber": str(sequence), "ShardId": f"shardId-{shard:012}"}


class Asked:
    """A check, and what it counted of one flow; each call carries records of different profiles."""

    def __init__(self) -> None:
        self.check = OrderCheck(a_destination())
        self.flow = FlowLanes("vip", Unknown(0.0))

    def respond(
        self,
        *entries: Any,
        profiles: Sequence[str] = ("p-1", "p-2", "p-3"),
        key: str | None = None,
        hash_key: str | None = None,
    ) -> None:
        records = [
            export_record(1, profile, partition_key=key, hash_key=hash_key) for profile in profiles[: len(entries)]
        ]
        lanes = [Lane(self.flow, record.key or b"", Waiting(decode_export(record), a_progress())) for record in records]
        response = {"Records": list(entries)}
        self.check.check(lanes, response, classify_response(response, len(lanes)))

    @property
    def faults(self) -> dict[str, int]:
        return dict(self.flow.counts.out_of_order)


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_sequence_numbers_that_rise_are_in_order(asked: Asked) -> None:
    for sequence in (9, 10, SEQUENCE, SEQUENCE + 1):
        asked.respond(entry(sequence), entry(sequence - 5, 1))

    assert asked.faults == {}


@pytest.mark.parametrize("second", [SEQUENCE, SEQUENCE - 1, 9])
def test_a_sequence_number_that_does_not_rise_in_its_shard_is_counted(asked: Asked, second: int) -> None:
    asked.respond(entry(SEQUENCE))
    asked.respond(entry(second))

    assert asked.faults == {OrderFault.SEQUENCE_FELL: 1}


def test_lanes_are_not_compared_with_each_other(asked: Asked) -> None:
    """Calls of two lanes that were in flight together may end in any order."""
    asked.respond(entry(SEQUENCE + 1), profiles=["p-1"], key="same")
    asked.respond(entry(SEQUENCE), profiles=["p-2"], key="same")

    assert asked.faults == {}


def test_a_key_that_moves_to_a_younger_shard_was_moved_by_a_reshard(asked: Asked) -> None:
    """AWS counts shards up: those that a reshard makes have ids above those they replace."""
    for shard in (0, 4, 9, 10):
        asked.respond(entry(SEQUENCE, shard))

    assert asked.faults == {}


def test_a_key_that_comes_to_an_older_shard_shows_a_stream_that_ignores_partition_keys(asked: Asked) -> None:
    for sequence, shard in enumerate((0, 3, 1, 2, 0)):
        asked.respond(entry(SEQUENCE + sequence, shard))

    assert asked.faults == {OrderFault.SHARD_CHANGED: 2}


def test_another_key_may_lead_to_any_shard(asked: Asked) -> None:
    """G5: a partition key may be an attribute, which changes; an explicit hash key comes before it."""
    asked.respond(entry(SEQUENCE, 3), key="gold")
    asked.respond(entry(SEQUENCE, 1), key="silver")
    asked.respond(entry(SEQUENCE, 0), key="silver", hash_key="0")

    assert asked.faults == {}


def test_failed_entries_and_failed_calls_say_nothing(asked: Asked) -> None:
    asked.respond(entry(SEQUENCE), entry(SEQUENCE))
    asked.respond({"ErrorCode": "InternalFailure", **entry(1)}, None)
    asked.check.check([], OSError("reset"), classify_response(OSError("reset"), 2))
    asked.respond(entry(SEQUENCE + 1), entry(SEQUENCE + 1))

    assert asked.faults == {}


@pytest.mark.parametrize(
    "odd", [{"SequenceNumber": "1"}, {"SequenceNumber": 1, "ShardId": "s"}, {"SequenceNumber": "1", "ShardId": ["s"]}]
)
def test_a_response_without_shard_or_sequence_number_as_text_says_nothing(asked: Asked, odd: Any) -> None:
    asked.respond(entry(SEQUENCE))
    asked.respond(odd)

    assert asked.faults == {}


def test_the_alarm_comes_at_the_first_fault_and_whenever_they_have_doubled(asked: Asked) -> None:
    with capture_logs() as logs:
        for sequence in range(SEQUENCE + 9, SEQUENCE, -1):
            asked.respond(entry(sequence))

    assert [(line["event"], line["log_level"], line["faults"]) for line in logs] == [
        ("order_not_kept", "error", n) for n in (1, 2, 4, 8)
    ]
    assert {
        name: logs[0][name]
        for name in ("stream", "region", "fault", "flow", "exports_partition", "exports_offset", "sequence_numbers")
    } == {
        "stream": "profiles",
        "region": "us-east-2",
        "fault": OrderFault.SEQUENCE_FELL,
        "flow": "vip",
        "exports_partition": 0,
        "exports_offset": 1,
        "sequence_numbers": (str(SEQUENCE + 9), str(SEQUENCE + 8)),
    }


def test_the_lanes_that_were_answered_last_are_remembered_and_no_more_than_twice_as_many(asked: Asked) -> None:
    asked.respond(entry(SEQUENCE), profiles=["first"])
    for number in range(MOST_LANES - 1):
        asked.respond(entry(SEQUENCE), profiles=[f"p-{number}"])

    asked.respond(entry(SEQUENCE), profiles=["first"])
    remembered = asked.faults
    for number in range(3 * MOST_LANES):
        asked.respond(entry(SEQUENCE), profiles=[f"q-{number}"])
    asked.respond(entry(SEQUENCE), profiles=["first"])

    assert remembered == asked.faults == {OrderFault.SEQUENCE_FELL: 1}


@in_virtual_time
async def test_the_status_of_a_flow_counts_what_its_stream_did_and_nothing_is_held_up() -> None:
    async with World(flows={"vip": a_destination(), "other": a_destination()}).running() as world:
        shards = iter([0, 3, 1, 2])

        def spread(destination: Destination, exports: Sequence[Export]) -> object:
            world.kinesis.store(destination, exports)
            shard = next(shards)
            return {"Records": [entry(SEQUENCE + number, shard) for number, _ in enumerate(exports)]}

        world.kinesis.behaviour = spread
        await world.deliver_all(*(export_record(offset) for offset in range(4)))
        statuses = world.sink.status()

    assert (statuses["vip"].delivered, statuses["vip"].out_of_order) == (4, {OrderFault.SHARD_CHANGED: 1})


@in_virtual_time
async def test_a_stream_made_anew_after_a_pause_is_not_compared_with_the_one_before() -> None:
    """The same name, other shards: a stream that was deleted pauses its flow (G4)."""
    async with World().running() as world:
        responses = iter([entry(SEQUENCE, 7), {"ErrorCode": "ResourceNotFoundException"}, entry(1)])
        world.kinesis.behaviour = lambda destination, exports: {"Records": [next(responses)]}

        await world.deliver_all(export_record(0))
        await world.deliver_all(export_record(1))

        assert world.sink.status()["vip"].out_of_order == {}
