"""Endpoints and clocks that are not what a flow takes them for, and records at the limits to the byte (contract G2, G4,
G6).
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from processor.delivery.backoff import Backoff
from processor.delivery.kinesis.client import KinesisOptions, KinesisStream
from processor.delivery.kinesis.faults import PauseReason
from processor.delivery.limits import DeliveryLimits
from processor.delivery.sink import Sink
from processor.foundation.sizes import MIB
from schemas.destination import Destination
from tests.delivery.fakes import FakeDeadLetters, FakeDestinations, World, export_record, nowhere
from tests.delivery.loopback import SECRET, Loopback, Reply, Request, success
from tests.kit.virtual_time import in_virtual_time

SECONDS = 120.0
OPTIONS = KinesisOptions(calls_in_flight=1, connect_timeout_seconds=2.0, read_timeout_seconds=5.0)
LIMITS = DeliveryLimits(calls_in_flight=1, probe_seconds=0.05, backoff=Backoff(base_seconds=0.005, cap_seconds=0.05))
AWS_TIME = "%Y%m%dT%H%M%SZ"


def a_destination(url: str, stream: str) -> Destination:
    keys = {"type": "keys", "accessKeyId": "AKIDEXAMPLE", "secretKey": "${SECRET}"}
    return Destination.model_validate(
        {"type": "kinesis", "stream": stream, "region": "us-east-2", "endpointUrl": url, "credentials": keys}
    )


@asynccontextmanager
async def delivering_to(odd: Loopback, sound: Loopback) -> AsyncIterator[Sink]:
    """Ten records for `vip` at the odd endpoint, ten for `other` at the sound one, which are all delivered when the
    context begins.
    """
    sink = Sink(
        destinations=FakeDestinations(
            {"vip": a_destination(odd.url, "odd"), "other": a_destination(sound.url, "sound")}
        ),
        open_stream=lambda destination: KinesisStream(destination, OPTIONS, {"SECRET": SECRET}),
        dead_letters=FakeDeadLetters(),
        parked=nowhere(),
        limits=LIMITS,
        on_delivered=lambda partition, offset: None,
    )
    run = asyncio.create_task(sink.run())
    try:
        await sink.take_over(0, 0, {})
        await sink.deliver(
            0, [export_record(offset, f"p-{offset % 6}", ("vip", "other")[offset % 2]) for offset in range(20)], 20
        )
        await until(lambda: sink.status()["other"].delivered == 10)
        yield sink
    finally:
        sink.stop()
        await run


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.01)


async def require_recovery(sink: Sink) -> None:
    assert await sink.drain(SECONDS)
    vip = sink.status()["vip"]
    assert (vip.delivered, vip.paused, vip.dead_lettered) == (10, None, {})


class Checking:
    """Kinesis as far as its clock goes, which is this machine's and so much: signatures may be 5 minutes off (AWS
    General Reference).
    """

    def __init__(self, ahead: timedelta) -> None:
        self.ahead = ahead

    def __call__(self, request: Request) -> Reply:
        assert request.signed_well
        signed, now, most = request.headers["X-Amz-Date"], datetime.now(UTC) + self.ahead, timedelta(minutes=5)
        if signed < (now - most).strftime(AWS_TIME):
            return self._refused(
                f"Signature expired: {signed} is now earlier than {now - most:{AWS_TIME}} ({now:{AWS_TIME}} - 5 min.)"
            )
        if signed > (now + most).strftime(AWS_TIME):
            return self._refused(
                f"Signature not yet current: {signed} is still later than {now + most:{AWS_TIME}} ({now:{AWS_TIME}} + 5"
                " min.)"
            )
        return success(request)

    def _refused(self, message: str) -> Reply:
        return Reply(400, orjson.dumps({"__type": "InvalidSignatureException", "message": message}))


@pytest.mark.parametrize("hours", [1, -1])
async def test_g4_a_clock_that_is_an_hour_off_pauses_the_flow_with_that_reason_until_it_is_set(hours: int) -> None:
    """Which of the two clocks is wrong nobody can tell."""
    clock = Checking(timedelta(hours=hours))
    with Loopback(clock) as odd, Loopback() as sound:
        async with delivering_to(odd, sound) as sink:
            await until(lambda: sink.status()["vip"].paused is PauseReason.CLOCK)
            paused = sink.status()["vip"]
            clock.ahead = timedelta()
            await require_recovery(sink)

    assert PauseReason.CLOCK.value == "clock"
    assert (paused.delivered, paused.waiting) == (0, 10)
    assert "InvalidSignatureException: Signature" in str(paused.trouble)


PAGE = b"<!DOCTYPE html>\n<html><body>Log in</body></html>"


@pytest.mark.parametrize(
    ("status", "pause", "told"),
    [
        (200, None, "a web page (HTML)"),
        (403, PauseReason.ACCESS_DENIED, "403"),
        (404, PauseReason.DESTINATION_UNUSABLE, "404"),
        (502, None, "502"),
    ],
)
async def test_g4_g6_an_endpoint_that_speaks_html_delivers_nothing_and_loses_nothing(
    status: int, pause: PauseReason | None, told: str
) -> None:
    """A page may come from something in between, which has passed the call on: with 200 and 5xx it is in doubt, and
    tried again and again.
    """
    with Loopback(lambda request: Reply(status, PAGE)) as odd, Loopback() as sound:
        async with delivering_to(odd, sound) as sink:
            await until(lambda: len(odd.requests) > 2)
            meanwhile = sink.status()["vip"]
            odd.script = success
            await require_recovery(sink)
        asked = {request.headers["X-Amz-Target"] for request in odd.requests}

    assert (meanwhile.delivered, meanwhile.waiting, meanwhile.paused) == (0, 10, pause)
    assert told in str(meanwhile.trouble)
    assert asked == {"Kinesis_20131202.PutRecords"}, "G6: nothing else, not even to find out what is wrong"


@pytest.mark.parametrize("limit", [MIB, 10 * MIB])
@pytest.mark.parametrize("key", ["p-1", "é" * 256])
@in_virtual_time
async def test_g2_at_the_limit_a_record_leaves_and_a_byte_over_it_is_a_dead_letter_whatever_is_key_and_data(
    limit: int, key: str
) -> None:
    """AWS' limit, and the highest it can be raised to; the key counts as UTF-8."""
    async with World(
        max_record_bytes=limit, max_call_bytes=max(limit, 5 * MIB), max_buffered_bytes=64 * MIB
    ).running() as world:
        for offset in (-1, 0, 1):
            value = b"x" * (limit + offset - len(key.encode()))
            await world.deliver_all(export_record(offset + 1, value=value, partition_key=key))

        assert world.kinesis.offsets() == [0, 1]
        assert world.dead_letters.reasons() == [(2, "record_too_large")]
