"""Measure delivery alone, beside stock boto3.

python -m benchmarks.delivery [--records 200000] [--answer-ms 20] [--calls 4] [--interpreted]

    our sink         records of `exports` in, in batches as the worker's agent gets them, until all are acknowledged
    stock boto3      `client.put_records` of 500 records, one call after the other as its users write it, and from as
                     many threads as we have calls in flight; nothing else: no order, no retries

All to the same canned endpoint in a process of its own, one after the other, three rounds; medians. Then the sink alone
at 100 records a second: how long one waits. Ours is compiled, as production has it.
"""

import argparse
import asyncio
import gc
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Final

import boto3
from botocore.config import Config

from benchmarks.canned import SHARDS
from benchmarks.sink_runs import PACED_A_SECOND, RECORD_BYTES, Watched, flood, paced, records
from processor.foundation.settings import Settings
from processor.sandbox.child import ChildServer
from processor.worker.faust_worker import GC_THRESHOLDS
from processor.worker.hot_path import COMPILED
from tests.kit.compiled import compiled_packages, preferring

ROUNDS: Final = 3


def stock(url: str, count: int, threads: int) -> tuple[float, float]:
    """(seconds, seconds of CPU) of plain boto3."""
    config = Config(max_pool_connections=threads, retries={"total_max_attempts": 1})
    client = boto3.client(
        "kinesis",
        endpoint_url=url,
        region_name="us-east-2",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=config,
    )
    waiting = [{"Data": record.value, "PartitionKey": record.key.decode()} for record in records(count)]
    calls = [waiting[begin : begin + 500] for begin in range(0, count, 500)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda call: client.put_records(StreamName="canned", Records=call), calls[:threads]))
        begun, cpu = time.perf_counter(), time.process_time()
        list(pool.map(lambda call: client.put_records(StreamName="canned", Records=call), calls))
        return time.perf_counter() - begun, time.process_time() - cpu


@dataclass(frozen=True, slots=True)
class Round:
    """Records a second and CPU seconds a record: ours, and stock boto3 with one call and with as many as ours."""

    ours: tuple[float, float]
    one_call: tuple[float, float]
    threads: tuple[float, float]


def a_round(url: str, settings: Settings, count: int, watched: list[Watched]) -> Round:
    seconds, cpu, seen = asyncio.run(flood(url, settings, count))
    watched.append(seen)
    fewer, fewest = max(20_000, count // 5), max(10_000, count // 20)
    threads_seconds, threads_cpu = stock(url, fewer, settings.kinesis_calls_in_flight)
    one_seconds, one_cpu = stock(url, fewest, 1)
    return Round(
        (count / seconds, cpu / count),
        (fewest / one_seconds, one_cpu / fewest),
        (fewer / threads_seconds, threads_cpu / fewer),
    )


def report(count: int, answer_ms: int, calls_in_flight: int) -> str:
    """Measure all rounds, and return the table."""
    gc.set_threshold(*GC_THRESHOLDS)  # as a worker
    settings = Settings(kinesis_calls_in_flight=calls_in_flight)
    endpoint, watched = ChildServer("benchmarks.canned", str(answer_ms)), list[Watched]()
    url = endpoint.start()
    try:
        rounds = [a_round(url, settings, count, watched) for _ in range(ROUNDS)]
        waits = asyncio.run(paced(url, settings))
    finally:
        endpoint.stop()
    what = f"{'compiled' if COMPILED else 'interpreted'}: {count:,} records of {RECORD_BYTES} bytes"
    return "\n".join(
        [
            f"{what}, {calls_in_flight} calls in flight, answers after {answer_ms} ms, {SHARDS} shards",
            *_rates(rounds, calls_in_flight),
            *_waits(settings, watched, waits),
        ]
    )


def _rates(rounds: Sequence[Round], calls_in_flight: int) -> list[str]:
    ours = [each.ours for each in rounds]
    return [
        _line("ours", ours),
        _line("stock boto3, one call at a time", [each.one_call for each in rounds], ours),
        _line(f"stock boto3, {calls_in_flight} threads", [each.threads for each in rounds], ours),
    ]


def _waits(settings: Settings, watched: Sequence[Watched], waits: Sequence[float]) -> list[str]:
    p50, p99 = median(waits) * 1e3, _percentile(waits, 99) * 1e3
    calls = [carried for seen in watched for carried in seen.calls]
    full = sum(carried == settings.kinesis_max_records_per_call for carried in calls)
    late = [[_percentile(seen.stalls, percent) * 1e3 for seen in watched] for percent in (50, 99)]
    linger = f"linger {settings.kinesis_linger_seconds * 1e3:.0f} ms"
    return [
        f"full calls    {full} of {len(calls)} ({full / len(calls):.1%})",
        f"event loop    late by {median(late[0]):.1f} ms (p50), {median(late[1]):.1f} ms (p99)",
        f"one record    waits {p50:.0f} ms (p50), {p99:.0f} ms (p99) at {PACED_A_SECOND} records/s; {linger}",
    ]


def _line(name: str, rounds: Sequence[tuple[float, float]], ours: Sequence[tuple[float, float]] = ()) -> str:
    rate, cpu = (median(each[column] for each in rounds) for column in (0, 1))
    times = (
        f"   ours: {median(mine[0] / each[0] for mine, each in zip(ours, rounds, strict=True)):.1f} times"
        if ours
        else ""
    )
    return f"{name:34}{rate:>9,.0f} records/s   {cpu * 1e6:5.1f} µs of CPU a record{times}"


def _percentile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100)[percent - 1]


def main() -> None:
    """Print the table, here or in a process that has the compiled packages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--answer-ms", type=int, default=20)
    parser.add_argument("--calls", type=int, default=4, help="calls in flight (default 4)")
    parser.add_argument("--interpreted", action="store_true", help="as a working copy has it")
    asked = parser.parse_args()
    if not COMPILED and not asked.interpreted:
        command = [sys.executable, "-m", "benchmarks.delivery", *sys.argv[1:]]
        os.execve(sys.executable, command, preferring(compiled_packages(), os.environ))
    print(report(asked.records, asked.answer_ms, asked.calls))


if __name__ == "__main__":
    main()
