"""What a record carries on `exports` beside its bytes: the headers that sink, consumers and explanations read
(docs/architecture.md, "Topics").
"""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

import orjson

from processor.pipeline.partition import PartitionPipeline
from schemas.kafka import ProducerRecord, ReadRecord
from schemas.wire.exports import decode_export
from tests.delivery.fakes import Record
from tests.kit.given import a_catalog, a_flow, cloud_event, realized
from tests.kit.virtual_time import in_virtual_time
from tests.pipeline.fakes import FixedCatalog, MemoryLog, MemoryRows, batch, partition_settings

SECONDS = 60.0
DECIDED_AT = 1_768_174_653.25
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER_PARENT = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-00"
STATE = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
FLOWS = {"flows": [a_flow("f", ["a"]), a_flow("enveloped", ["a"], envelope="cloudevents")]}


def an_event(offset: int = 0, key: str = "p-1", headers: Any = (), **attributes: Any) -> ReadRecord:
    value = orjson.dumps(cloud_event(realized("a"), key=key, id=f"e-{offset}", **attributes))
    return ReadRecord("profile-events", 0, offset, 1_768_120_653_000, key.encode(), value, headers)


async def exported(
    *events: ReadRecord, log: MemoryLog | None = None, clock: Callable[[], float] = lambda: DECIDED_AT
) -> list[ProducerRecord]:
    """What a pipeline writes to `exports` after these events, one batch each."""
    log, done = log or MemoryLog(), asyncio.Event()

    def progress(offset: int) -> None:
        if offset > events[-1].offset:
            done.set()

    pipeline = PartitionPipeline(
        MemoryRows(),
        log,
        FixedCatalog(a_catalog(FLOWS)),
        partition_settings(wall_clock=clock),
        (None, None),
        on_processed=progress,
        on_failure=lambda _: done.set(),
    )
    pipeline.start()
    for event in events:
        pipeline.submit(batch([event]))
    async with asyncio.timeout(SECONDS):
        await done.wait()
    await pipeline.close()
    return log.exports


@in_virtual_time
async def test_d3_the_headers_of_a_record_are_these_and_no_others() -> None:
    record, _ = await exported(an_event(17))

    assert record.headers == [
        ("record-id", b"profile-events-0-17-f"),
        ("flow-id", b"f"),
        ("flow-etag", b""),
        ("profile-version", b"1"),
        ("source-topic", b"profile-events"),
        ("source-partition", b"0"),
        ("source-offset", b"17"),
        ("event-time", b"2026-01-11T12:00:00Z"),
        ("causes", b'["segment:ups/a:realized"]'),
        ("partition-key", b"p-1"),
        ("decided-at", b"1768174653250"),
    ]


@in_virtual_time
async def test_a_record_says_when_it_was_decided_and_not_when_it_was_written() -> None:
    """G1: what waits for its transaction, or is sent again within one, is the same record."""
    log, moments = MemoryLog(), count(DECIDED_AT, 1.0)
    log.gate.clear()
    asyncio.get_running_loop().call_later(0.05, log.gate.set)

    records = await exported(an_event(0, "p-1"), an_event(1, "p-2"), log=log, clock=lambda: next(moments))

    assert [dict(record.headers)["decided-at"] for record in records] == [b"1768174653250"] * 2 + [b"1768174654250"] * 2


@in_virtual_time
async def test_a_record_hands_on_the_trace_of_its_events_headers_before_that_of_its_attributes() -> None:
    headers = [("other", b"x"), ("traceparent", PARENT.encode()), ("tracestate", STATE.encode())]

    records = await exported(an_event(0, headers=headers, traceparent=OTHER_PARENT, tracestate="a=b"))

    assert [record.headers[-2:] for record in records] == [headers[1:]] * 2


@in_virtual_time
async def test_a_record_hands_on_the_trace_of_its_events_attributes_and_d2_its_envelope_does_not() -> None:
    plain, enveloped = await exported(an_event(0, traceparent=PARENT, tracestate=STATE))

    assert (
        plain.headers[-2:]
        == enveloped.headers[-2:]
        == [("traceparent", PARENT.encode()), ("tracestate", STATE.encode())]
    )
    assert b"trace" not in (plain.value or b"") + (enveloped.value or b"")


@in_virtual_time
async def test_the_bytes_that_leave_are_the_same_with_a_trace_and_without_one() -> None:
    traced, untraced = await exported(an_event(0, traceparent=PARENT)), await exported(an_event(0))

    assert [record._replace(headers=[]) for record in traced] == [record._replace(headers=[]) for record in untraced]


@in_virtual_time
async def test_a_trace_that_is_none_is_left_out_and_the_event_counts_all_the_same() -> None:
    """I4: what others put beside an event is no reason to refuse it."""
    odd = [None, 7, "", "00-x", {"a": 1}, "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "é" * 40, "\x00" * 1_000_000]

    records = await exported(
        *(an_event(offset, f"p-{offset}", traceparent=parent, tracestate=7) for offset, parent in enumerate(odd))
    )

    assert len(records) == 2 * len(odd)
    assert all(record.headers[-1][0] == "decided-at" for record in records)


@in_virtual_time
async def test_the_sink_reads_a_record_with_the_new_headers_as_one_without() -> None:
    record, _ = await exported(an_event(3, headers=[("traceparent", PARENT.encode())]))
    old = [(name, value) for name, value in record.headers if name not in ("decided-at", "traceparent")]

    new, before = (
        decode_export(Record("exports", 0, 3, None, record.key, record.value, tuple(headers)))
        for headers in (record.headers, old)
    )

    assert new[1:-1] == before[1:-1]
    assert new.held_bytes > before.held_bytes, "its headers wait in memory too"
