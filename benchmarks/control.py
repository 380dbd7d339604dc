"""Measure the control API under load: python -m benchmarks.control [--rate 5000] [--seconds 30].

    a change          a flow is changed once a second while a worker decides `rate` events a second; how much later than
                      its acknowledgement was the last event written that an older version of the flow decided (contract
                      M2: less than a second)
    a call            100 a second, nine of ten read a flow, the tenth changes one; milliseconds until the answer

Broker, worker, API, writer and clients share the machine.
"""

import argparse
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx2

from benchmarks.contenders import OURS
from benchmarks.environment import Job, open_environment
from benchmarks.latency import send_paced
from benchmarks.process import Contender
from benchmarks.watch import GroupWatch, until
from processor.kafka.reading import read_topic
from tests.kit.kafka import free_ports

CALLS_A_SECOND = 100
READY_SECONDS = 60.0
WARM_UP_SECONDS = 10.0


class ControlApi:
    """The API of a job, as a process."""

    def __init__(self, job: Job, folder: Path) -> None:
        (port,) = free_ports(1)
        command = [sys.executable, "-c", "from processor.cli import main; main()", "api", "--port", str(port)]
        self._process = subprocess.Popen(
            command, env=job.installation.env, stdout=(folder / "api.log").open("wb"), stderr=subprocess.STDOUT
        )
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            assert time.monotonic() < deadline, (folder / "api.log").read_text()
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        try:
            return self.client.get("/health/ready").status_code == 200
        except httpx2.TransportError:
            return False

    def close(self) -> None:
        self.client.close()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(READY_SECONDS)


def change_once_a_second(api: ControlApi, seconds: float) -> list[tuple[float, str]]:
    """(acknowledged at, in ms since 1970; etag) of each change of the one flow."""
    (kept,) = api.client.get("/v1/flows").json()["items"]
    flow: dict[str, Any] = kept["flow"]
    changes = []
    for number in range(int(seconds)):
        answer = api.client.put(f"/v1/flows/{flow['id']}", json=flow | {"description": f"change {number}"})
        assert answer.status_code == 200, answer.text
        changes.append((time.time() * 1000, answer.json()["etag"].strip('"')))
        time.sleep(1.0)
    return changes


def delays(job: Job, changes: list[tuple[float, str]]) -> list[float]:
    """Return milliseconds, a change each, until no event was decided by an older version any more.

    0 where the acknowledgement came later.
    """
    order = {etag: number for number, (_, etag) in enumerate(changes)}
    last: dict[int, int] = {}
    for record in read_topic(job.settings, job.topics.exports):
        number = order.get(dict(record.headers)["flow-etag"].decode(), -1)
        last[number] = max(last.get(number, 0), record.timestamp or 0)
    found = []
    for number, (acknowledged, _) in enumerate(changes):
        older = max((moment for version, moment in last.items() if version < number), default=0)
        found.append(max(0.0, older - acknowledged))
    return found


def calls(api: ControlApi, seconds: float) -> list[float]:
    """Milliseconds of each call."""
    (kept,) = api.client.get("/v1/flows").json()["items"]
    flow: dict[str, Any] = kept["flow"]
    path = f"/v1/flows/{flow['id']}"

    def call(number: int) -> float:
        begun = time.perf_counter()
        is_change = number % 10 == 0
        answer = (
            api.client.put(path, json=flow | {"description": f"call {number}"}) if is_change else api.client.get(path)
        )
        assert answer.status_code == 200, answer.text
        return (time.perf_counter() - begun) * 1000

    with ThreadPoolExecutor(16) as threads:
        waiting, begun = [], time.perf_counter()
        for number in range(int(CALLS_A_SECOND * seconds)):
            time.sleep(max(0.0, begun + number / CALLS_A_SECOND - time.perf_counter()))
            waiting.append(threads.submit(call, number))
        return [each.result() for each in waiting]


def main(rate: int, seconds: float, profiles: int) -> None:
    """Measure changes and calls, and print both."""
    with open_environment() as environment:
        environment.fill(0, profiles)
        job = environment.new_job("control")
        group = GroupWatch(job, [job.topics.profile_events])
        with Contender(OURS.command(job), job.folder) as contender:
            until(group, contender, job.topics.profile_events, environment.first)
            api = ControlApi(job, job.folder)
            quiet = calls(api, seconds)
            load = threading.Thread(target=send_paced, args=(job, rate, WARM_UP_SECONDS + seconds + 2, profiles))
            load.start()
            time.sleep(WARM_UP_SECONDS)
            changes = change_once_a_second(api, seconds)
            load.join()
            time.sleep(2.0)
            group.close()
            api.close()
        found = delays(job, changes)
    print(
        f"{len(found)} changes at {rate:,} events/s: used everywhere {_percentiles(found)} after their acknowledgement"
    )
    print(f"{len(quiet)} calls at {CALLS_A_SECOND}/s, one in ten a change: {_percentiles(quiet)}")


def _percentiles(milliseconds: list[float]) -> str:
    percentiles = quantiles(milliseconds, n=100)
    return f"p50 {percentiles[49]:.0f} ms, p99 {percentiles[98]:.0f} ms, highest {max(milliseconds):.0f} ms"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--profiles", type=int, default=20_000)
    chosen = parser.parse_args()
    main(chosen.rate, chosen.seconds, chosen.profiles)
