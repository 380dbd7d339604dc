"""The sink through its front door, with fakes and virtual time (contract section 6)."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest

from processor.delivery.kinesis.faults import PauseReason
from processor.delivery.sink import NotTakenOver
from processor.delivery.sink_state import DeliveryStopped
from schemas.destination import Destination
from schemas.export import Export
from schemas.wire.dead_letters import encode_dead_letter
from tests.delivery.fakes import ANSWER_SECONDS, World, a_destination, export_record
from tests.delivery.kinesis.test_responses import client_error
from tests.kit.virtual_time import in_virtual_time

TOO_FAST = "ProvisionedThroughputExceededException"


@in_virtual_time
async def test_g1_records_arrive_in_the_order_of_their_lane_and_progress_follows() -> None:
    async with World().running() as world:
        await world.deliver_all(*(export_record(offset) for offset in (3, 4, 9)), position=12)

        assert world.kinesis.offsets() == [3, 4, 9]
        assert world.progress == {0: [4, 9, 12]}


@in_virtual_time
async def test_g2_a_call_carries_at_most_500_records_and_full_calls_leave_at_once() -> None:
    async with World().running() as world:
        await world.deliver_all(*(export_record(offset, f"p-{offset}") for offset in range(1001)))

        assert sorted(len(exports) for _, _, exports in world.kinesis.calls) == [1, 500, 500]
        assert [time for time, _, exports in world.kinesis.calls if len(exports) == 500] == pytest.approx(
            [0.0, 0.0], abs=1e-6
        )


@in_virtual_time
async def test_a_call_that_is_not_full_lingers_for_more() -> None:
    async with World(linger_seconds=0.02).running() as world:
        await world.deliver(export_record(1, "p-1"))
        await asyncio.sleep(0.019)
        await world.deliver_all(export_record(2, "p-2"))

        assert [(time, len(exports)) for time, _, exports in world.kinesis.calls] == [(pytest.approx(0.02), 2)]


@in_virtual_time
async def test_g2_a_call_counts_data_and_keys_to_the_byte() -> None:
    """Two records of 50 bytes fit a call of 100; two of 50 and 51 do not."""
    async with World(max_record_bytes=60, max_call_bytes=100).running() as world:
        await world.deliver_all(export_record(1, "p-1", value=b"x" * 47), export_record(2, "p-2", value=b"x" * 47))
        await world.deliver_all(export_record(3, "p-3", value=b"x" * 47), export_record(4, "p-4", value=b"x" * 48))

        assert [[export.record.offset for export in exports] for _, _, exports in world.kinesis.calls] == [
            [1, 2],
            [3],
            [4],
        ]


@in_virtual_time
async def test_g2_a_record_over_the_limit_by_one_byte_is_a_dead_letter_and_its_lane_goes_on() -> None:
    async with World(max_record_bytes=100).running() as world:
        fits, too_large, next_one = (
            export_record(offset, value=b"x" * size) for offset, size in ((1, 97), (2, 98), (3, 1))
        )

        await world.deliver_all(fits, too_large, next_one)

        assert world.kinesis.offsets() == [1, 3]
        assert world.dead_letters.reasons() == [(2, "record_too_large")]
        assert world.progress[0][-1] == 4
        assert world.sink.status()["vip"].dead_lettered == {"record_too_large": 1}


@in_virtual_time
async def test_i4_a_dead_letter_keeps_key_value_and_headers_and_says_where_and_why() -> None:
    async with World(max_record_bytes=10).running() as world:
        record = export_record(2, "Zoë", value=b"x" * 11, timestamp=1_768_174_653_999)

        await world.deliver_all(record)

        ((letter, before, attempts),) = world.dead_letters.letters
        headers = tuple(encode_dead_letter(letter, before, attempts=attempts).headers)
        assert (letter.key, letter.value) == (record.key, record.value)
        assert headers[: len(record.headers)] == record.headers
        said = dict(headers[len(record.headers) :])
        assert "15 bytes" in (said.pop("explanation") or b"").decode()
        assert said == {
            "topic": b"exports", "partition": b"0", "offset": b"2", "reason": b"record_too_large",
            "time": b"2026-01-11T23:37:33Z",
            "attempts": b"0",
        }  # fmt: skip


@in_virtual_time
async def test_a_record_that_is_not_ours_is_a_dead_letter_and_the_others_go_on() -> None:
    async with World().running() as world:
        await world.deliver_all(
            export_record(1)._replace(headers=()), export_record(2)._replace(value=None), export_record(3)
        )

        assert world.dead_letters.reasons() == [(1, "rejected"), (2, "rejected")]
        assert world.kinesis.offsets() == [3]
        assert world.progress[0][-1] == 4


@in_virtual_time
async def test_progress_passes_a_dead_letter_only_when_it_is_durable() -> None:
    async with World(max_record_bytes=50).running() as world:
        world.dead_letters.gate.clear()

        await world.deliver(export_record(1, "p-1", value=b"x" * 50), export_record(2, "p-2"))
        await asyncio.sleep(1.0)
        before = list(world.progress[0])
        world.dead_letters.gate.set()
        assert await world.sink.drain(1.0)

        assert before == []
        assert world.kinesis.offsets() == [2]
        assert world.progress[0] == [3]


@in_virtual_time
async def test_headers_fill_the_buffer_as_keys_and_values_do() -> None:
    """A record of headers only once counted next to nothing, however many of them waited."""
    async with World(max_buffered_bytes=10_000).running() as world:
        world.kinesis.seconds = lambda: 2.0
        records = [export_record(offset, f"p-{offset}") for offset in range(20)]
        large = [record._replace(headers=(*record.headers, ("trace", b"x" * 2_000))) for record in records]

        delivering = asyncio.create_task(world.deliver(*large))
        await asyncio.sleep(1.0)
        taken = world.sink.status()["vip"].waiting
        await delivering
        assert await world.sink.drain(600.0)

        assert taken == 5
        assert world.kinesis.offsets() == list(range(20))


@in_virtual_time
async def test_a_dead_letter_that_cannot_be_kept_stops_the_sink_and_nothing_is_acknowledged() -> None:
    world = World(max_record_bytes=50)
    world.dead_letters.error = OSError("Kafka is gone")
    run = asyncio.create_task(world.sink.run())

    await world.deliver(export_record(1, value=b"x" * 50))

    with pytest.raises(OSError, match="Kafka is gone"):
        await run
    with pytest.raises(OSError, match="Kafka is gone"):
        await world.deliver(export_record(2))
    with pytest.raises(OSError, match="Kafka is gone"):
        await world.sink.drain(1.0)
    await world.sink.release([0])
    assert not world.progress[0]


@in_virtual_time
async def test_a_partition_that_was_not_taken_over_is_refused() -> None:
    """Nobody knows yet which of its flows are parked, and from where on."""
    async with World().running() as world:
        with pytest.raises(NotTakenOver, match="partition 3 of exports"):
            await world.sink.deliver(3, [export_record(1, partition=3)], 2)

        assert not world.sink.has(3)
        assert world.kinesis.calls == []


@in_virtual_time
async def test_a_released_partition_is_refused_until_it_is_taken_over_again() -> None:
    async with World().running() as world:
        await world.deliver_all(export_record(1))
        await world.sink.release([0])

        with pytest.raises(NotTakenOver):
            await world.sink.deliver(0, [export_record(2)], 3)
        await world.deliver_all(export_record(2))

        assert world.kinesis.offsets() == [1, 2]


@in_virtual_time
async def test_a_stopped_sink_takes_nothing_more() -> None:
    async with World().running() as world:
        pass

    with pytest.raises(DeliveryStopped):
        await world.deliver(export_record(1))


@in_virtual_time
async def test_stop_waits_for_calls_in_flight_and_begins_none() -> None:
    world = World()
    run = asyncio.create_task(world.sink.run())
    await world.deliver(export_record(1), export_record(2))
    await asyncio.sleep(world.limits.linger_seconds + ANSWER_SECONDS / 2)

    world.sink.stop()
    await run

    assert world.kinesis.offsets() == [1]
    assert world.progress[0] == [2]
    assert world.kinesis.closed == ["profiles"]


@in_virtual_time
async def test_stop_does_not_wait_for_ever() -> None:
    world = World(release_seconds=5.0, park_after_seconds=60.0)
    world.kinesis.seconds = lambda: 1e9
    run = asyncio.create_task(world.sink.run())
    await world.deliver(export_record(1))
    await asyncio.sleep(1.0)

    world.sink.stop()
    await run

    assert asyncio.get_running_loop().time() == pytest.approx(6.0, abs=0.1)
    assert not world.progress[0]


@in_virtual_time
async def test_g4_only_the_entries_that_failed_are_sent_again() -> None:
    async with World().running() as world:
        failing = {1, 3}

        def behave(destination: Destination, exports: Sequence[Export]) -> object:
            failed = {index: TOO_FAST for index, export in enumerate(exports) if export.record.offset in failing}
            failing.clear()
            return world.kinesis.partly(destination, exports, failed)

        world.kinesis.behaviour = behave

        await world.deliver_all(*(export_record(offset, f"p-{offset}") for offset in range(5)))

        assert [sorted(export.record.offset for export in exports) for _, _, exports in world.kinesis.calls] == [
            [0, 1, 2, 3, 4],
            [1, 3],
        ]
        status = world.sink.status()["vip"]
        assert (status.delivered, status.throttled, status.retried) == (5, 2, 2)


@in_virtual_time
async def test_g4_throttling_never_becomes_a_dead_letter_however_long_it_lasts() -> None:
    async with World().running() as world:
        world.kinesis.behaviour = lambda destination, exports: (
            client_error(TOO_FAST, 400)
            if len(world.kinesis.calls) <= 200
            else world.kinesis.all_well(destination, exports)
        )

        await world.deliver_all(export_record(1))

        assert world.kinesis.offsets() == [1]
        assert world.dead_letters.letters == []
        assert world.sink.status()["vip"].throttled == 200


@in_virtual_time
async def test_g4_an_ambiguous_call_is_sent_again_with_the_same_bytes_before_anything_later() -> None:
    """G1: the repeated record is byte-identical, and nothing of its lane comes in between."""
    async with World().running() as world:

        def behave(destination: Destination, exports: Sequence[Export]) -> object:
            response = world.kinesis.all_well(destination, exports)
            return client_error("InternalFailure", 500) if len(world.kinesis.calls) == 1 else response

        world.kinesis.behaviour = behave

        await world.deliver_all(export_record(1), export_record(2))

        assert world.kinesis.offsets() == [1, 1, 2]
        first, again, _ = world.kinesis.stored["profiles"]
        assert (first.value, first.partition_key) == (again.value, again.partition_key)


@in_virtual_time
async def test_g4_a_call_left_in_doubt_is_the_first_to_leave_again() -> None:
    async with World(calls_in_flight=1).running() as world:
        world.kinesis.behaviour = lambda destination, exports: (
            OSError("reset") if len(world.kinesis.calls) == 1 else world.kinesis.all_well(destination, exports)
        )

        await world.deliver_all(*(export_record(offset, f"p-{offset}") for offset in range(1500)))

        assert world.kinesis.calls[0][2] == world.kinesis.calls[1][2]


@in_virtual_time
async def test_g4_a_rejected_record_is_tried_again_without_company() -> None:
    """Else its neighbours would be rejected with it every time."""
    async with World().running() as world:
        world.kinesis.behaviour = lambda destination, exports: (
            client_error("InvalidArgumentException", 400)
            if any(export.record.offset == 0 for export in exports)
            else world.kinesis.all_well(destination, exports)
        )

        for offset in range(0, 1000, 5):
            await world.deliver(*(export_record(offset + n, f"p-{offset + n}") for n in range(5)))
            await asyncio.sleep(0.003)
        assert await world.sink.drain(10.0)

        sizes = [
            len(exports)
            for _, _, exports in world.kinesis.calls
            if any(export.record.offset == 0 for export in exports)
        ]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[-3:] == [1, 1, 1]
        assert sizes.count(1) == 3


@in_virtual_time
async def test_g4_a_pause_in_the_search_for_a_culprit_is_probed_with_a_small_call_all_the_same() -> None:
    async with World(calls_in_flight=1, probe_records=10).running() as world:
        world.kinesis.behaviour = lambda destination, exports: client_error(
            "InvalidArgumentException" if len(world.kinesis.calls) == 1 else "AccessDeniedException", 400
        )

        await world.deliver(*(export_record(offset, f"p-{offset}") for offset in range(500)))
        await asyncio.sleep(40.0)

        assert [len(exports) for _, _, exports in world.kinesis.calls] == [500, 250, 10, 10]


@in_virtual_time
async def test_g4_a_culprit_is_found_by_halving_and_is_tried_twice_more_before_it_is_a_dead_letter() -> None:
    async with World().running() as world:
        culprits = {123, 377}

        def behave(destination: Destination, exports: Sequence[Export]) -> object:
            if any(export.record.offset in culprits for export in exports):
                return client_error("InvalidArgumentException", 400, "a record is not acceptable")
            return world.kinesis.all_well(destination, exports)

        world.kinesis.behaviour = behave

        await world.deliver_all(*(export_record(offset, f"p-{offset}") for offset in range(500)))

        assert sorted(world.kinesis.offsets()) == [offset for offset in range(500) if offset not in culprits]
        assert sorted(world.dead_letters.reasons()) == [(123, "rejected"), (377, "rejected")]
        alone = [exports[0].record.offset for _, _, exports in world.kinesis.calls if len(exports) == 1]
        assert {offset: alone.count(offset) for offset in culprits} == {123: 3, 377: 3}
        assert len(world.kinesis.calls) < 60
        assert "not acceptable" in world.dead_letters.letters[0].letter.explanation
        assert world.progress[0][-1] == 500


@in_virtual_time
async def test_g4_a_rejected_entry_is_tried_twice_more_and_its_lane_goes_on() -> None:
    async with World().running() as world:
        world.kinesis.behaviour = lambda destination, exports: world.kinesis.partly(
            destination,
            exports,
            {index: "InvalidArgumentException" for index, export in enumerate(exports) if export.record.offset == 1},
        )

        await world.deliver_all(export_record(1), export_record(2), export_record(3, "p-2"))

        tries = [export.record.offset for _, _, exports in world.kinesis.calls for export in exports]
        assert (tries.count(1), tries.count(2), tries.count(3)) == (3, 1, 1)
        times = [time for time, _, exports in world.kinesis.calls if exports[0].record.offset == 1]
        assert [round(later - time, 2) for time, later in pairwise(times)] == [
            0.12,
            0.22,
        ]  # the backoff, and the response before
        assert world.dead_letters.reasons() == [(1, "rejected")]


@in_virtual_time
async def test_g4_a_call_too_large_for_the_endpoint_is_halved_until_it_fits() -> None:
    async with World().running() as world:
        world.kinesis.behaviour = lambda destination, exports: (
            client_error("413", 413) if len(exports) > 100 else world.kinesis.all_well(destination, exports)
        )

        await world.deliver_all(*(export_record(offset, f"p-{offset}") for offset in range(500)))

        assert sorted(world.kinesis.offsets()) == list(range(500))
        assert world.dead_letters.letters == []


@in_virtual_time
async def test_g4_what_nobody_knows_is_sent_again_and_never_dropped() -> None:
    async with World().running() as world:
        outcomes = [RuntimeError("new"), client_error("NewException", 400), {"Records": [{"ErrorCode": "NewCode"}]}]
        world.kinesis.behaviour = lambda destination, exports: (
            outcomes.pop(0) if outcomes else world.kinesis.all_well(destination, exports)
        )

        await world.deliver_all(export_record(1))

        assert world.kinesis.offsets() == [1]
        assert world.dead_letters.letters == []


@in_virtual_time
async def test_g4_a_refused_destination_pauses_probes_slowly_with_a_small_call_and_resumes_by_itself() -> None:
    async with World(probe_seconds=15.0).running() as world:
        mended = asyncio.Event()
        world.kinesis.behaviour = lambda destination, exports: (
            world.kinesis.all_well(destination, exports)
            if mended.is_set()
            else client_error("ResourceNotFoundException", 400, "no such stream")
        )

        await world.deliver(*(export_record(offset, f"p-{offset}") for offset in range(900)))
        await asyncio.sleep(50.0)
        status, probes = (
            world.sink.status()["vip"],
            [(time, len(exports)) for time, _, exports in world.kinesis.calls[2:]],
        )
        mended.set()
        assert await world.sink.drain(20.0)

        assert (status.paused, status.waiting, status.delivered) == (PauseReason.STREAM_NOT_FOUND, 900, 0)
        assert status.trouble == "ResourceNotFoundException: no such stream"
        assert probes == [(pytest.approx(at, abs=0.2), world.limits.probe_records) for at in (15, 30, 45)]
        assert sorted(world.kinesis.offsets()) == list(range(900))
        assert world.sink.status()["vip"].paused is None


@in_virtual_time
async def test_a_pause_is_told_to_jobs_only_while_something_waits_that_can_probe() -> None:
    """Else nobody would find that it is over: the partition moved away, and with it what would have been sent."""
    async with World(probe_seconds=15.0).running() as world:
        world.kinesis.behaviour = lambda *_: client_error("ResourceNotFoundException", 400, "no such stream")
        await world.deliver(*(export_record(offset, f"p-{offset}") for offset in range(3)))
        await asyncio.sleep(5.0)
        before = world.sink.pause_of("vip")
        await world.sink.release([0])

        assert (before, world.sink.pause_of("vip"), world.sink.pause_of("nobody")) == (
            PauseReason.STREAM_NOT_FOUND,
            None,
            None,
        )


@in_virtual_time
async def test_g4_a_probe_that_gets_no_response_leaves_the_destination_paused() -> None:
    async with World(probe_seconds=15.0).running() as world:
        outcomes = [
            client_error("AccessDeniedException", 400),
            OSError("reset"),
            client_error("503", 503),
            client_error(TOO_FAST, 400),
        ]
        world.kinesis.behaviour = lambda destination, exports: (
            outcomes.pop(0) if outcomes else world.kinesis.all_well(destination, exports)
        )

        await world.deliver(export_record(1))
        await asyncio.sleep(40.0)
        paused = world.sink.status()["vip"].paused
        assert await world.sink.drain(10.0)

        assert paused is PauseReason.ACCESS_DENIED
        assert [round(time) for time, _, _ in world.kinesis.calls] == [0, 15, 30, 45, 45]


@in_virtual_time
async def test_g4_a_pause_ends_by_a_probe_and_not_by_a_call_that_was_in_flight_before_it() -> None:
    async with World(max_records_per_call=1, calls_in_flight=2).running() as world:
        responses = [(client_error("AccessDeniedException", 400), 0.01), (None, 1.0)]

        def behave(destination: Destination, exports: Sequence[Export]) -> object:
            outcome, seconds = responses.pop(0) if responses else (None, 0.01)
            world.kinesis.seconds = lambda: seconds
            return outcome or world.kinesis.all_well(destination, exports)

        world.kinesis.behaviour = behave
        await world.deliver(*(export_record(offset, f"p-{offset}") for offset in range(4)))
        await asyncio.sleep(10.0)
        paused = world.sink.status()["vip"].paused
        assert await world.sink.drain(10.0)

        assert paused is PauseReason.ACCESS_DENIED
        assert [round(time) for time, _, _ in world.kinesis.calls] == [0, 0, 15, 15, 15]


@in_virtual_time
async def test_g4_an_entry_that_is_refused_pauses_its_destination() -> None:
    async with World().running() as world:
        refused = {1}

        def behave(destination: Destination, exports: Sequence[Export]) -> object:
            failed = {
                index: "KMSDisabledException" for index, export in enumerate(exports) if export.record.offset in refused
            }
            return world.kinesis.partly(destination, exports, failed)

        world.kinesis.behaviour = behave
        await world.deliver(export_record(1, "p-1"), export_record(2, "p-2"))
        await asyncio.sleep(40.0)
        paused = world.sink.status()["vip"].paused
        refused.clear()
        assert await world.sink.drain(20.0)

        assert paused is PauseReason.ENCRYPTION_KEY_UNUSABLE
        assert world.kinesis.offsets() == [2, 1]


@in_virtual_time
async def test_g4_credentials_are_read_anew_when_a_flow_waits_for_better_ones() -> None:
    async with World(probe_seconds=15.0).running() as world:
        outcomes = [client_error("ExpiredTokenException", 400), client_error("ResourceNotFoundException", 400)]
        world.kinesis.behaviour = lambda destination, exports: (
            outcomes.pop(0) if outcomes else world.kinesis.all_well(destination, exports)
        )

        await world.deliver_all(export_record(1))

        assert (world.kinesis.opened, world.kinesis.closed) == (["profiles"] * 2, ["profiles"])


@in_virtual_time
async def test_g4_a_paused_flow_does_not_stop_another() -> None:
    async with World(flows={"vip": a_destination("gone"), "other": a_destination("there")}).running() as world:
        world.kinesis.behaviour = lambda destination, exports: (
            client_error("ResourceNotFoundException", 400)
            if destination.stream == "gone"
            else world.kinesis.all_well(destination, exports)
        )

        records = [export_record(offset, flow=("vip", "other")[offset % 2]) for offset in range(100)]
        await world.deliver(*records)
        await asyncio.sleep(10.0)

        assert world.kinesis.offsets("there") == list(range(1, 100, 2))
        status = world.sink.status()
        assert (status["vip"].waiting, status["other"].waiting) == (50, 0)
        assert (status["vip"].paused, status["other"].paused) == (PauseReason.STREAM_NOT_FOUND, None)
        assert world.progress[0][-1] == 100
        assert [world.parked.rows.hold(record) for record in records] == [True, False] * 50


@in_virtual_time
async def test_while_calls_fail_the_status_says_what_went_wrong_last() -> None:
    async with World().running() as world:
        world.kinesis.behaviour = lambda destination, exports: client_error(
            "ServiceUnavailable", 503, "come back later"
        )

        await world.deliver(export_record(1))
        await asyncio.sleep(60.0)

        status = world.sink.status()["vip"]
        assert (status.paused, status.trouble) == (PauseReason.UNREACHABLE, "ServiceUnavailable: come back later")
        assert len(world.kinesis.calls) < 40


@in_virtual_time
async def test_g3_a_hot_key_does_not_stall_others() -> None:
    """One profile has 200 records, 50 others one each, and the hot one's shard throttles half of the time."""
    async with World().running() as world:
        world.kinesis.behaviour = lambda destination, exports: world.kinesis.partly(
            destination,
            exports,
            {
                i: TOO_FAST
                for i, export in enumerate(exports)
                if export.partition_key == "hot" and len(world.kinesis.calls) % 2
            },
        )

        await world.deliver(
            *(export_record(offset, "hot") for offset in range(200)),
            *(export_record(200 + n, f"p-{n}") for n in range(50)),
        )
        await asyncio.sleep(1.0)
        after_a_second = world.kinesis.offsets()
        assert await world.sink.drain(3600.0)

        assert set(range(200, 250)) <= set(after_a_second)
        assert [offset for offset in world.kinesis.offsets() if offset < 200] == list(range(200))


@in_virtual_time
async def test_throttled_calls_are_fewer_at_a_time_and_recover() -> None:
    async with World(calls_in_flight=4, max_records_per_call=10).running() as world:
        slow = True

        def behave(destination: Destination, exports: Sequence[Export]) -> object:
            return client_error(TOO_FAST, 400) if slow else world.kinesis.all_well(destination, exports)

        world.kinesis.behaviour = behave
        await world.deliver(*(export_record(offset, f"p-{offset}") for offset in range(400)))
        await asyncio.sleep(30.0)
        world.kinesis.most_in_flight = 0
        await asyncio.sleep(30.0)
        narrow = world.kinesis.most_in_flight
        slow = False
        assert await world.sink.drain(60.0)

        assert (narrow, world.kinesis.most_in_flight) == (1, 4)


@in_virtual_time
async def test_calls_whose_entries_are_throttled_by_the_half_are_fewer_at_a_time() -> None:
    async with World(calls_in_flight=4, max_records_per_call=10).running() as world:
        world.kinesis.behaviour = lambda destination, exports: world.kinesis.partly(
            destination, exports, dict.fromkeys(range(5), TOO_FAST)
        )

        await world.deliver(*(export_record(offset, f"p-{offset}") for offset in range(2000)))
        await asyncio.sleep(0.3)
        world.kinesis.most_in_flight = 0
        await asyncio.sleep(0.3)

        assert world.kinesis.most_in_flight == 1


@in_virtual_time
async def test_deliver_waits_while_the_buffer_is_full_and_never_holds_more() -> None:
    async with World(max_buffered_records=10).running() as world:
        world.kinesis.seconds = lambda: 1.0

        delivering = asyncio.create_task(world.deliver(*(export_record(offset, f"p-{offset}") for offset in range(25))))
        await asyncio.sleep(0.5)
        held, done = world.sink.status()["vip"].waiting, delivering.done()
        await delivering

        assert (held, done) == (10, False)
        assert await world.sink.drain(1000.0)
        assert sorted(world.kinesis.offsets()) == list(range(25))


@in_virtual_time
async def test_deliver_waits_while_too_many_bytes_are_held() -> None:
    async with World(max_buffered_bytes=1000).running() as world:
        world.kinesis.seconds = lambda: 1.0

        delivering = asyncio.create_task(
            world.deliver(*(export_record(offset, f"p-{offset}", value=b"x" * 400) for offset in range(9)))
        )
        await asyncio.sleep(0.5)
        held = world.sink.status()["vip"].waiting
        await delivering

        assert held == 3


@in_virtual_time
async def test_the_same_record_fetched_again_is_not_taken_twice() -> None:
    async with World().running() as world:
        await world.deliver(export_record(1), export_record(2))
        await world.deliver_all(export_record(1), export_record(2), export_record(3))

        assert world.kinesis.offsets() == [1, 2, 3]


@in_virtual_time
async def test_an_empty_batch_moves_progress_to_the_position() -> None:
    """A partition whose last offsets are transaction markers shows no lag."""
    async with World().running() as world:
        await world.take_over(0, 3)
        await world.sink.deliver(0, [], 17)

        assert world.progress == {0: [17]}


@in_virtual_time
async def test_release_forgets_what_waits_above_and_waits_for_what_is_in_flight() -> None:
    async with World().running() as world:
        await world.deliver(export_record(1), export_record(2, "p-2"), export_record(3))
        await world.deliver(export_record(7, "p-7", partition=1))
        await asyncio.sleep(world.limits.linger_seconds + ANSWER_SECONDS / 2)

        await world.sink.release([0, 5])
        assert await world.sink.drain(10.0)
        await asyncio.sleep(100.0)

        assert sorted(world.kinesis.offsets()) == [1, 2, 7]
        assert world.progress == {0: [3], 1: [8]}


@in_virtual_time
async def test_release_first_closes_the_gaps_below_what_was_sent_so_that_nothing_leaves_twice() -> None:
    """G1: the next owner reads from the lowest unfinished record; a graceful stop repeats nothing."""
    async with World().running() as world:
        hot = [export_record(offset) for offset in range(1, 6)]
        await world.deliver(*hot, export_record(6, "p-2"), *(export_record(offset) for offset in range(7, 20)))
        await asyncio.sleep(
            world.limits.linger_seconds + ANSWER_SECONDS / 2
        )  # 1 and 6 are in flight, 2 to 5 wait behind 1

        await world.sink.release([0])
        await asyncio.sleep(100.0)

        assert sorted(world.kinesis.offsets()) == [1, 2, 3, 4, 5, 6]
        assert world.progress[0][-1] == 7


@in_virtual_time
async def test_gaps_that_do_not_close_in_time_are_left_to_the_next_owner() -> None:
    async with World(close_gaps_seconds=1.0).running() as world:
        world.kinesis.behaviour = lambda destination, exports: world.kinesis.partly(
            destination,
            exports,
            {index: TOO_FAST for index, export in enumerate(exports) if export.record.key == b"p-1"},
        )
        await world.deliver(export_record(1), export_record(2, "p-2"))
        await asyncio.sleep(0.5)
        began = asyncio.get_running_loop().time()

        await world.sink.release([0])
        took = asyncio.get_running_loop().time() - began
        await asyncio.sleep(100.0)

        assert 1.0 <= took < 1.5
        assert not world.progress[0]
        assert world.sink.status()["vip"].waiting == 0


@in_virtual_time
async def test_after_a_release_that_timed_out_nothing_is_reported_or_sent_again() -> None:
    async with World(close_gaps_seconds=0.5, release_seconds=1.0).running() as world:
        world.kinesis.seconds = lambda: 5.0
        world.kinesis.behaviour = lambda destination, exports: client_error("503", 503)
        await world.deliver(export_record(1), export_record(2))
        await asyncio.sleep(0.1)

        await world.sink.release([0])
        released_at = asyncio.get_running_loop().time()
        await asyncio.sleep(100.0)

        assert released_at == pytest.approx(1.6, abs=0.01)
        assert len(world.kinesis.calls) == 1
        assert not world.progress[0]
        assert world.sink.status()["vip"].waiting == 0


@in_virtual_time
async def test_g3_a_lane_waits_for_its_call_even_when_its_partition_went_and_came_back() -> None:
    async with World(release_seconds=1.0).running() as world:
        world.kinesis.seconds = lambda: 5.0
        await world.deliver(export_record(1))
        await asyncio.sleep(0.1)
        await world.sink.release([0])

        await world.deliver_all(export_record(1), export_record(2))

        assert world.kinesis.offsets() == [1, 1, 2]  # the fake checks that no two of them were in flight together
        assert world.progress[0] == [2, 3]


@in_virtual_time
async def test_a_batch_that_waits_for_room_is_dropped_when_its_partition_is_released() -> None:
    async with World(max_buffered_records=1).running() as world:
        world.kinesis.seconds = lambda: 2.0
        delivering = asyncio.create_task(world.deliver(export_record(1), export_record(2, "p-2")))
        await asyncio.sleep(1.0)

        await world.sink.release([0])
        await delivering
        await asyncio.sleep(100.0)

        assert world.kinesis.offsets() == [1]


@in_virtual_time
async def test_release_waits_for_dead_letters_that_are_being_written_and_forgets_the_others() -> None:
    async with World(max_record_bytes=10, flows={}).running() as world:
        world.dead_letters.gate.clear()
        await world.deliver(export_record(1))
        await asyncio.sleep(0.1)
        await world.deliver(export_record(2))

        releasing = asyncio.create_task(world.sink.release([0]))
        await asyncio.sleep(0.1)
        world.dead_letters.gate.set()
        await releasing
        await asyncio.sleep(10.0)

        assert world.dead_letters.reasons() == [(1, "record_too_large")]
        assert world.progress[0] == [2]


@in_virtual_time
async def test_g9_waiting_records_go_to_the_destination_in_force_when_they_are_sent() -> None:
    async with World().running() as world:
        await world.deliver(export_record(1), export_record(2), export_record(3, "p-2"))
        await asyncio.sleep(world.limits.linger_seconds + ANSWER_SECONDS / 2)

        world.flows["vip"] = a_destination("new")
        await world.deliver_all(export_record(4, "p-2"))

        assert (sorted(world.kinesis.offsets()), world.kinesis.offsets("new")) == ([1, 3], [2, 4])
        assert world.kinesis.closed == ["profiles"]


@in_virtual_time
async def test_g9_a_paused_flow_notices_a_new_destination_within_a_second() -> None:
    async with World(probe_seconds=1000.0).running() as world:
        world.kinesis.behaviour = lambda destination, exports: (
            client_error("AccessDeniedException", 400)
            if destination.stream == "profiles"
            else world.kinesis.all_well(destination, exports)
        )
        await world.deliver(export_record(1), export_record(2))
        await asyncio.sleep(100.0)

        world.flows["vip"] = a_destination("new")
        assert await world.sink.drain(1.5)

        assert world.kinesis.offsets("new") == [1, 2]
        assert world.sink.status()["vip"].paused is None


@pytest.mark.parametrize("noticed", ["while the call is in flight", "when it has ended"])
@in_virtual_time
async def test_g9_a_record_whose_call_fails_after_the_change_follows_its_flow(noticed: str) -> None:
    async with World().running() as world:
        world.kinesis.behaviour = lambda destination, exports: (
            client_error("503", 503)
            if destination.stream == "profiles"
            else world.kinesis.all_well(destination, exports)
        )
        await world.deliver(export_record(1), export_record(2))
        await asyncio.sleep(world.limits.linger_seconds + ANSWER_SECONDS / 2)

        world.flows["vip"] = a_destination("new")
        if noticed == "while the call is in flight":
            world.sink.follow_catalog()
        assert await world.sink.drain(10.0)

        assert world.kinesis.offsets("new") == [1, 2]


@in_virtual_time
async def test_g9_a_flow_that_leaves_a_shared_destination_leaves_nothing_behind() -> None:
    async with World(flows={"vip": a_destination(), "other": a_destination()}).running() as world:
        world.kinesis.behaviour = lambda destination, exports: (
            OSError("reset") if len(world.kinesis.calls) == 1 else world.kinesis.all_well(destination, exports)
        )
        await world.deliver(export_record(1, flow="vip"), export_record(2, flow="other"))
        await asyncio.sleep(world.limits.linger_seconds + ANSWER_SECONDS / 2)

        world.flows["vip"] = a_destination("new")
        world.sink.follow_catalog()
        assert await world.sink.drain(10.0)

        assert (world.kinesis.offsets(), world.kinesis.offsets("new")) == ([2], [1])


@in_virtual_time
async def test_g9_records_of_a_deleted_flow_become_dead_letters_in_order() -> None:
    async with World().running() as world:
        await world.deliver(*(export_record(offset, f"p-{offset % 3}") for offset in range(9)))
        await asyncio.sleep(world.limits.linger_seconds + ANSWER_SECONDS / 2)

        del world.flows["vip"]
        assert await world.sink.drain(10.0)

        assert sorted(world.kinesis.offsets()) == [0, 1, 2]
        dead_lettered = [offset for offset, reason in world.dead_letters.reasons() if reason == "flow_deleted"]
        assert [[offset for offset in dead_lettered if offset % 3 == lane] for lane in range(3)] == [
            [3, 6],
            [4, 7],
            [5, 8],
        ]
        assert world.progress[0][-1] == 9


@in_virtual_time
async def test_g9_a_flow_that_was_never_named_may_be_late_by_some_seconds() -> None:
    """Another worker may have learned of a new flow a moment earlier; its records must not become dead letters here."""
    async with World(flows={}, unknown_flow_seconds=5.0).running() as world:
        await world.deliver(export_record(1, flow="new"), export_record(2, flow="never"))
        await asyncio.sleep(3.0)
        paused = world.sink.status()["new"].paused
        world.flows["new"] = a_destination()
        await asyncio.sleep(10.0)

        assert paused is PauseReason.FLOW_UNKNOWN
        assert world.kinesis.offsets() == [1]
        assert world.dead_letters.reasons() == [(2, "flow_deleted")]


@in_virtual_time
async def test_g9_a_deleted_flow_that_comes_back_delivers_again() -> None:
    async with World().running() as world:
        await world.deliver_all(export_record(1))
        del world.flows["vip"]
        await world.deliver_all(export_record(2))
        world.flows["vip"] = a_destination("again")

        await world.deliver_all(export_record(3))

        assert (world.kinesis.offsets(), world.kinesis.offsets("again")) == ([1], [3])
        assert world.dead_letters.reasons() == [(2, "flow_deleted")]


@in_virtual_time
async def test_g9_a_deleted_flow_is_forgotten_when_nothing_comes_of_it_and_its_counts_are_kept() -> None:
    async with World(unknown_flow_seconds=5.0).running() as world:
        await world.deliver_all(export_record(1))
        del world.flows["vip"]
        for offset in range(2, 6):  # as a backlog that is read slowly
            await world.deliver_all(export_record(offset))
            await asyncio.sleep(300.0)
        while_records_come = world.sink.status()
        await asyncio.sleep(700.0)
        forgotten = world.sink.forgotten()
        after = world.sink.status()
        await world.deliver_all(export_record(9))

        assert while_records_come["vip"].dead_lettered == {"flow_deleted": 4}
        assert after == {}
        assert (forgotten.delivered, forgotten.dead_lettered) == (1, {"flow_deleted": 4})
        assert world.dead_letters.reasons()[-1] == (9, "flow_deleted")
        assert world.progress[0][-1] == 10


@in_virtual_time
async def test_flows_with_one_destination_share_its_stream_and_its_calls() -> None:
    async with World(flows={"vip": a_destination(), "other": a_destination()}).running() as world:
        await world.deliver_all(export_record(1, flow="vip"), export_record(2, flow="other"))

        assert world.kinesis.opened == ["profiles"]
        assert len(world.kinesis.calls) == 1


@in_virtual_time
async def test_a_catalog_said_anew_with_the_same_destination_changes_nothing() -> None:
    async with World().running() as world:
        await world.deliver_all(export_record(1))
        world.flows["vip"] = a_destination()
        await world.deliver_all(export_record(2))

        assert world.kinesis.opened == ["profiles"]
        assert world.kinesis.closed == []


@in_virtual_time
async def test_the_status_counts_records_and_bytes_and_knows_the_age_of_the_oldest() -> None:
    async with World().running() as world:
        await world.deliver_all(export_record(1, value=b"x" * 97), export_record(2, value=b"x" * 7))
        idle = world.sink.status()["vip"]
        world.kinesis.seconds = lambda: 100.0
        await world.deliver(
            export_record(3), export_record(4, "p-2", timestamp=1_768_174_655_000), export_record(5, timestamp=None)
        )

        busy = world.sink.status()["vip"]

        assert (idle.delivered, idle.delivered_bytes, idle.waiting, idle.oldest_waiting_seconds) == (2, 110, 0, None)
        assert (busy.waiting, busy.oldest_waiting_seconds) == (3, pytest.approx(10.0, abs=0.5))


@in_virtual_time
async def test_records_delivered_before_the_sink_runs_wait_for_it() -> None:
    world = World()
    await world.deliver(export_record(1))

    async with world.running():
        assert await world.sink.drain(10.0)

    assert world.kinesis.offsets() == [1]


@in_virtual_time
async def test_g4_a_destination_that_rejects_whatever_it_is_sent_pauses_and_nothing_becomes_a_dead_letter() -> None:
    async with World().running() as world:
        world.kinesis.behaviour = lambda destination, exports: client_error("413", 413)  # a Behaviour's signature
        await world.deliver(*(export_record(offset, f"p-{offset % 700}") for offset in range(2_000)))
        await asyncio.sleep(120.0)
        status, calls = world.sink.status()["vip"], len(world.kinesis.calls)
        await asyncio.sleep(120.0)
        probes = world.kinesis.calls[calls:]

        world.kinesis.behaviour = world.kinesis.all_well
        assert await world.sink.drain(120.0)

        assert (status.paused, status.waiting) == (PauseReason.DESTINATION_UNUSABLE, 2_000)
        assert "rejected, and none was taken" in (status.trouble or "")
        assert {len(exports) for _, _, exports in probes} == {1}
        assert len(probes) == 120 // world.limits.probe_seconds
        assert world.dead_letters.letters == []
        assert sorted(world.kinesis.offsets()) == list(range(2_000))


@in_virtual_time
async def test_g4_a_destination_of_few_records_that_rejects_them_all_pauses_after_so_many_profiles() -> None:
    async with World(max_rejections_in_a_row=7).running() as world:
        world.kinesis.behaviour = lambda destination, exports: client_error("ValidationException", 400)
        for offset in range(20):
            await world.deliver(export_record(offset, f"p-{offset}"))
            await asyncio.sleep(10.0)

        assert [offset for offset, _ in world.dead_letters.reasons()] == [0, 1, 2, 3, 4, 5]
        assert world.sink.status()["vip"].paused is PauseReason.DESTINATION_UNUSABLE
        world.kinesis.behaviour = world.kinesis.all_well
        assert await world.sink.drain(60.0)
        assert sorted(world.kinesis.offsets()) == list(range(6, 20))


@pytest.mark.parametrize("whole", [True, False], ids=["the call is rejected", "its entries are rejected"])
@in_virtual_time
async def test_g4_rejected_records_among_good_ones_become_dead_letters_and_pause_nothing(whole: bool) -> None:
    """Three in four are rejected, and each is tried three times."""
    async with World().running() as world:

        def respond(destination: Destination, exports: Sequence[Export]) -> object:
            rejected = {
                index: "InvalidArgumentException" for index, export in enumerate(exports) if export.record.offset % 4
            }
            if whole and rejected:
                return client_error("InvalidArgumentException", 400)
            return world.kinesis.partly(destination, exports, rejected)

        world.kinesis.behaviour = respond
        await world.deliver(*(export_record(offset, f"p-{offset}") for offset in range(400)))
        assert await world.sink.drain(600.0)

        assert sorted(world.kinesis.offsets()) == list(range(0, 400, 4))
        assert sorted(offset for offset, _ in world.dead_letters.reasons()) == [
            offset for offset in range(400) if offset % 4
        ]
