"""Measure ours beside Kafka Streams, Quix Streams and stock Faust, by hand, for about three quarters of an hour.

python -m benchmarks.report

    every       every event becomes one record, which ours delivers to an endpoint of 256 shards that answers at once,
                and which the peers leave on a topic
    processes   the same by two processes of ours and of Quix Streams, and by Kafka Streams with two threads
    fifth       one event in five becomes a record; ours without delivery, as the peers, and with it
    recovery    rows a second from the changelogs that `fifth` left
    latency     event → exports at a paced rate
    profiles    CPU an event of `every` with 10,000 and 100,000 profiles (a million takes long: `--profiles 1000000`)

One broker a table, the same events, the same records (held against ours, `benchmarks.exports`), one process each where
nothing else is said. The contenders take turns; every figure is the median of its rounds, every ratio the median of the
ratios within a round. CPU of broker and endpoint is not in a contender's. Beside each run stand the load averages and
how many cores other processes used meanwhile: with more than 0.2 of the machine's the figures are noise.

    --parts every,processes,fifth,recovery,latency,profiles    what to measure
    --rounds, --events, --profiles, --contenders, --processes
    --patience 300                                   wait so long, before each run, for a quiet machine
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from benchmarks import latency
from benchmarks.contenders import DEFAULT, DELIVERED, ENTRIES, KAFKA_STREAMS, OURS, OURS_DELIVERED, Entry, side_by_side
from benchmarks.environment import ANSWER_MILLISECONDS, open_environment
from benchmarks.events import MIXES
from benchmarks.recovery import Restored, restore_kafka_streams, restore_ours
from benchmarks.runs import Referee, Run, run
from benchmarks.watch import wait_until_quiet

PARTS = ("every", "processes", "fifth", "recovery", "latency", "profiles")
PROFILE_COUNTS = (10_000, 100_000)
RESTORERS = {OURS.name: restore_ours, KAFKA_STREAMS.name: restore_kafka_streams}
AT_ONCE = 0

Rounds = list[dict[str, Run]]
Restorations = dict[str, list[Restored]]


class Plan(NamedTuple):
    """The plan of a table: what to measure, by the options."""

    rounds: int
    events: int
    profiles: int
    entries: Sequence[Entry]
    patience_seconds: float
    mix: str = "every"
    answer_milliseconds: int = AT_ONCE
    recovery: bool = False


def measure(plan: Plan) -> tuple[Rounds, Restorations]:
    """Every contender, once a round; what ours and Kafka Streams left is restored where that is asked for."""
    done: Rounds = []
    restored: Restorations = defaultdict(list)
    referee = Referee()
    with open_environment(answer_milliseconds=plan.answer_milliseconds) as environment:
        environment.fill(plan.events, plan.profiles, MIXES[plan.mix])
        for number in range(1, plan.rounds + 1):
            done.append({})
            for place, entry in enumerate(plan.entries):
                wait_until_quiet(plan.patience_seconds)
                job = environment.new_job(f"{place}-{number}")
                done[-1][entry.name] = found = run(environment, entry, job, referee)
                print(_line(number, found), flush=True)
                if plan.recovery and entry.name in RESTORERS:
                    restored[entry.name].append(RESTORERS[entry.name](job))
                    print(f"round {number}: {entry.name:18} restored {_rows(restored[entry.name][-1])}", flush=True)
                environment.clear()
    return done, restored


def _line(number: int, found: Run) -> str:
    figures = (
        f"{found.events_a_second:8,.0f} events/s {found.cpu_microseconds:6.1f} µs CPU"
        f" (broker {found.broker_microseconds:.1f}, endpoint {found.endpoint_microseconds:.1f})"
        f" {found.resident_bytes / 2**20:6.0f} MiB"
    )
    noise = f"{found.whole_seconds:3.0f} s, load {found.load}, others {found.others:.2f} cores"
    return f"round {number}: {found.name:18} {figures}   {noise}; {found.exports} records: {found.result}"


def _rows(restored: Restored) -> str:
    return f"{restored.rows:,} rows in {restored.seconds:.1f} s: {restored.rows_a_second:,.0f} rows/s"


def table(rounds: Rounds) -> str:
    """Medians, as a Markdown table; ratios of the first contender to each."""
    first = next(iter(rounds[0]))
    figures = "events/s | CPU µs an event | broker's | endpoint's | MiB"
    ratios = f"{first} / this, events/s | {first} / this, CPU"
    lines = [f"| | {figures} | {ratios} | records |", f"|---|{'--:|' * 7}---|"]
    return "\n".join([*lines, *(_row(rounds, first, name) for name in rounds[0])])


def _row(rounds: Rounds, first: str, name: str) -> str:
    runs = [one[name] for one in rounds]
    faster = median(one[first].events_a_second / one[name].events_a_second for one in rounds)
    cheaper = median(one[first].cpu_microseconds / one[name].cpu_microseconds for one in rounds)
    cells = (
        f"{median(found.events_a_second for found in runs):,.0f}",
        f"{median(found.cpu_microseconds for found in runs):.1f}",
        f"{median(found.broker_microseconds for found in runs):.1f}",
        f"{median(found.endpoint_microseconds for found in runs):.1f}",
        f"{median(found.resident_bytes for found in runs) / 2**20:.0f}",
        f"{faster:.2f}",
        f"{cheaper:.2f}",
        "equal" if all(found.result == "equal" for found in runs) else "DIFFERENT",
    )
    return f"| {name} | {' | '.join(cells)} |"


def recovery_table(restored: Restorations) -> str:
    """Rows a second, medians, as a Markdown table."""
    lines = ["| | rows | rows/s |", "|---|--:|--:|"]
    for name, found in restored.items():
        lines.append(
            f"| {name} | {median(one.rows for one in found):,.0f} | {median(one.rows_a_second for one in found):,.0f} |"
        )
    return "\n".join(lines)


def print_tables(title: str, plan: Plan) -> None:
    """Measure a plan and print its tables."""
    print(f"\n{title}; {MIXES[plan.mix].about}")
    rounds, restored = measure(plan)
    print(f"\n{table(rounds)}\n")
    if restored:
        print(f"{recovery_table(restored)}\n")


def print_profile_counts(plan: Plan) -> None:
    """Measure a plan with each count of profiles, and print what an event costs ours."""
    for count in PROFILE_COUNTS:
        rounds, _ = measure(plan._replace(rounds=1, profiles=count, entries=[OURS_DELIVERED]))
        print(f"{count:,} profiles: {rounds[0][OURS_DELIVERED.name].cpu_microseconds:.1f} µs CPU an event")


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=500_000, help="events after those that fill the profiles")
    parser.add_argument("--profiles", type=int, default=20_000)
    parser.add_argument(
        "--contenders", help=f"instead of a table's own: of {', '.join(ENTRIES)}; the first must be one of ours"
    )
    parser.add_argument("--processes", type=int, default=2, help="of each contender in the table `processes`")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument(
        "--patience",
        type=float,
        default=0.0,
        help="seconds to wait, before each run, for other people's processes to rest",
    )
    return parser.parse_args()


def entries_of(names: str | None, otherwise: Sequence[str]) -> list[Entry]:
    """Return the contenders that the command line names, or else a table's own."""
    return [ENTRIES[name] for name in (names.split(",") if names else otherwise)]


def main() -> None:
    """Measure what the command line asks for."""
    asked = read_options()
    parts = asked.parts.split(",")
    every = Plan(asked.rounds, asked.events, asked.profiles, entries_of(asked.contenders, DELIVERED), asked.patience)
    if "every" in parts:
        print_tables("One process each", every)
    if "processes" in parts:
        entries = list(side_by_side(asked.processes).values())
        print_tables(f"{asked.processes} processes each", every._replace(entries=entries))
    if "fifth" in parts or "recovery" in parts:
        entries, recovery = entries_of(asked.contenders, DEFAULT), "recovery" in parts
        print_tables(
            "One process each",
            every._replace(entries=entries, mix="fifth", answer_milliseconds=ANSWER_MILLISECONDS, recovery=recovery),
        )
    if "latency" in parts:
        latency.main(5_000, 30.0, asked.profiles)
    if "profiles" in parts:
        print_profile_counts(every)


if __name__ == "__main__":
    main()
