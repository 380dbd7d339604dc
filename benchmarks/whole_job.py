"""Measure the whole job in one worker process on a real Kafka, with a canned Kinesis endpoint.

python -m benchmarks.whole_job

    profile events → state, changelog, exports → PutRecords acknowledged

Events wait on the topic before the worker starts. Events a second and CPU are those of the steady window (25 % to 95
%).
"""

import argparse

from benchmarks.contenders import ENTRIES
from benchmarks.environment import open_environment
from benchmarks.runs import Referee, run


def main(events: int, profiles: int, contender: str) -> None:
    """Measure one run, and print it."""
    with open_environment() as environment:
        environment.fill(events, profiles)
        done = run(environment, ENTRIES[contender], environment.new_job(contender), Referee())
    print(f"{done.name}, {profiles} profiles, {environment.events} events, {done.exports} export records")
    print(f"steady window: {done.events_a_second:,.0f} events/s, {done.cpu_microseconds:.1f} µs CPU an event")
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
    arguments = parser.parse_args()
    main(arguments.events, arguments.profiles, arguments.contender)
