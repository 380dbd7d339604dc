"""Measure the whole job in one worker process on a real Kafka, with a canned Kinesis endpoint.

python -m benchmarks.whole_job

    profile events → state, changelog, exports → PutRecords acknowledged

Events wait on the topic before the worker starts, and the endpoint answers at once. Events a second and CPU are those
of the steady window (25 % to 95 %).

    --mix every|fifth    every event becomes a record, or one in five
"""

import argparse

from benchmarks.contenders import ENTRIES
from benchmarks.environment import open_environment
from benchmarks.events import MIXES
from benchmarks.runs import Referee, run


def main(events: int, profiles: int, contender: str, mix: str) -> None:
    """Measure one run, and print it."""
    with open_environment(answer_milliseconds=0) as environment:
        environment.fill(events, profiles, MIXES[mix])
        done = run(environment, ENTRIES[contender], environment.new_job(contender), Referee())
    print(f"{done.name}, {profiles} profiles, {environment.events} events, {done.exports} export records")
    print(
        f"steady window: {done.events_a_second:,.0f} events/s, {done.cpu_microseconds:.1f} µs CPU an event;"
        f" broker {done.broker_microseconds:.1f}, endpoint {done.endpoint_microseconds:.1f}"
    )
    print(
        f"start to end: {environment.events / done.whole_seconds:,.0f} events/s; resident at most"
        f" {done.resident_bytes / 2**20:.0f} MiB"
    )
    print(f"load {done.load}; others used {done.others:.2f} cores")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--profiles", type=int, default=20_000)
    parser.add_argument(
        "--contender", choices=[name for name in ENTRIES if name.startswith("ours")], default="ours-delivered"
    )
    parser.add_argument("--mix", choices=list(MIXES), default="every")
    arguments = parser.parse_args()
    main(arguments.events, arguments.profiles, arguments.contender, arguments.mix)
