"""Measure ours beside Kafka Streams, Quix Streams and stock Faust, by hand, for about a quarter of an hour.

python -m benchmarks.report

One broker, the same events, the same records (held against ours, `benchmarks.exports`), one process each. The
contenders take turns; every figure is the median of its rounds, every ratio the median of the ratios within a round.
Beside each run stand the load averages and how many cores other processes used meanwhile: with more than 0.2 of the
machine's the figures are noise.

    --parts throughput,recovery,latency,profiles     what to measure        --rounds, --events, --profiles, --contenders
    --patience 300                                   wait so long, before each run, for a quiet machine
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from benchmarks import latency
from benchmarks.contenders import DEFAULT, ENTRIES, KAFKA_STREAMS, OURS
from benchmarks.environment import open_environment
from benchmarks.recovery import Restored, restore_kafka_streams, restore_ours
from benchmarks.runs import Referee, Run, run
from benchmarks.watch import wait_until_quiet

PARTS = ("throughput", "recovery", "latency", "profiles")
PROFILE_COUNTS = (10_000, 100_000)  # a million takes long: `--profiles 1000000 --contenders ours --parts throughput`
RESTORERS = {OURS.name: restore_ours, KAFKA_STREAMS.name: restore_kafka_streams}

Rounds = list[dict[str, Run]]
Restorations = dict[str, list[Restored]]


class Plan(NamedTuple):
    """The plan of what to measure, by the options."""

    rounds: int
    events: int
    profiles: int
    names: Sequence[str]
    recovery: bool
    patience_seconds: float


def measure(plan: Plan) -> tuple[Rounds, Restorations]:
    """Every contender, once a round; what ours and Kafka Streams left is restored where that is asked for."""
    done: Rounds = []
    restored: Restorations = defaultdict(list)
    referee = Referee()
    with open_environment() as environment:
        environment.fill(plan.events, plan.profiles)
        for number in range(1, plan.rounds + 1):
            done.append({})
            for name in plan.names:
                wait_until_quiet(plan.patience_seconds)
                job = environment.new_job(f"{name}-{number}")
                done[-1][name] = found = run(environment, ENTRIES[name], job, referee)
                print(_line(number, found), flush=True)
                if plan.recovery and name in RESTORERS:
                    restored[name].append(RESTORERS[name](job))
                    print(f"round {number}: {name:18} restored {_rows(restored[name][-1])}", flush=True)
                environment.clear()
    return done, restored


def _line(number: int, found: Run) -> str:
    figures = (
        f"{found.events_a_second:8,.0f} events/s {found.cpu_microseconds:6.1f} µs CPU"
        f" {found.resident_bytes / 2**20:6.0f} MiB"
    )
    noise = f"{found.whole_seconds:3.0f} s, load {found.load}, others {found.others:.2f} cores"
    return f"round {number}: {found.name:18} {figures}   {noise}; {found.exports} records: {found.result}"


def _rows(restored: Restored) -> str:
    return f"{restored.rows:,} rows in {restored.seconds:.1f} s: {restored.rows_a_second:,.0f} rows/s"


def table(rounds: Rounds) -> str:
    """Medians, as a Markdown table; ratios to the first contender."""
    first = next(iter(rounds[0]))
    lines = [
        f"| | events/s | CPU µs an event | MiB | {first} / this, events/s | this / {first}, CPU |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name in rounds[0]:
        runs = [one[name] for one in rounds]
        faster = median(one[first].events_a_second / one[name].events_a_second for one in rounds)
        cheaper = median(one[name].cpu_microseconds / one[first].cpu_microseconds for one in rounds)
        rate, cpu = median(found.events_a_second for found in runs), median(found.cpu_microseconds for found in runs)
        memory = median(found.resident_bytes for found in runs) / 2**20
        lines.append(f"| {name} | {rate:,.0f} | {cpu:.1f} | {memory:.0f} | {faster:.2f} | {cheaper:.2f} |")
    return "\n".join(lines)


def recovery_table(restored: Restorations) -> str:
    """Rows a second, medians, as a Markdown table."""
    lines = ["| | rows | rows/s |", "|---|--:|--:|"]
    for name, found in restored.items():
        lines.append(
            f"| {name} | {median(one.rows for one in found):,.0f} | {median(one.rows_a_second for one in found):,.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=500_000, help="events after those that fill the profiles")
    parser.add_argument("--profiles", type=int, default=20_000)
    parser.add_argument(
        "--contenders", default=",".join(DEFAULT), help=f"of {', '.join(ENTRIES)}; the first must be one of ours"
    )
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument(
        "--patience",
        type=float,
        default=0.0,
        help="seconds to wait, before each run, for other people's processes to rest",
    )
    chosen = parser.parse_args()
    parts, names = chosen.parts.split(","), chosen.contenders.split(",")
    if "throughput" in parts or "recovery" in parts:
        plan = Plan(chosen.rounds, chosen.events, chosen.profiles, names, "recovery" in parts, chosen.patience)
        rounds, restored = measure(plan)
        print(f"\n{table(rounds)}\n")
        if restored:
            print(f"{recovery_table(restored)}\n")
    if "latency" in parts:
        latency.main(5_000, 30.0, chosen.profiles)
    if "profiles" in parts:
        for count in PROFILE_COUNTS:
            rounds, _ = measure(Plan(1, chosen.events, count, [OURS.name], False, chosen.patience))
            print(f"{count:,} profiles: {rounds[0][OURS.name].cpu_microseconds:.1f} µs CPU an event")


if __name__ == "__main__":
    main()
