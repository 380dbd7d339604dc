"""Measure the core's cost by stage: python -m benchmarks.core [--interpreted].

    decode (a row) → parse → fold → decide (each flow concerned) → encode (the row)   `run`: what the pipeline does with
                                                                              it all, export records, counts, row cache

Microseconds an event, in runs as the worker decides them, over 20,000 profiles (2,000 with a hundred flows). The median
of five rounds, and the lowest: whatever else the machine does only adds. Compiled as in production (setup.py), unless
`--interpreted` is given.
"""

import gc
import os
import sys
from collections.abc import Collection, Iterator
from statistics import median
from time import perf_counter

from benchmarks.hundred_flows import hundred_flows
from benchmarks.mixes import Mix, one_flow, ten_flows
from processor.core.concerned import find_concerned
from processor.core.decide import decide
from processor.core.fold import fold
from processor.core.misplaced import Placement
from processor.core.parse import parse_event
from processor.core.step import Limits
from processor.pipeline.bad_events import BadEventLimit
from processor.pipeline.decider import Policy, RunStart, decide_run
from processor.pipeline.partition import RUN_RECORDS
from processor.pipeline.profiles import Profiles
from processor.worker.hot_path import COMPILED
from schemas.kafka import ReadRecord
from schemas.partitioner import Partitioner
from schemas.wire.profiles_changelog import decode_row, encode_row, profile_key
from tests.kit.compiled import compiled_packages, preferring

ROUNDS = 5
CACHE_BYTES = 256 << 20
POLICY = Policy(
    Limits(), BadEventLimit(), placement=Placement(0, 1, Partitioner.MURMUR2)
)  # every key is hashed, and at home
STAGES = ("decode", "parse", "fold", "decide", "encode", "five stages", "run")


class MemoryRows:
    """The rows of profiles in memory, as `pipeline.ports.ProfileRows`."""

    def __init__(self, rows: dict[bytes, bytes]) -> None:
        self.rows = rows
        self.source_position = None

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        return [self.rows.get(key) for key in keys]

    def apply(self, rows: dict[bytes, bytes | None], changelog_next_offset: int) -> None:
        """Not called: the rows of a round are those of the last."""


def runs(of: list[ReadRecord]) -> Iterator[list[ReadRecord]]:
    return (of[begin : begin + RUN_RECORDS] for begin in range(0, len(of), RUN_RECORDS))


def filled(mix: Mix) -> dict[bytes, bytes]:
    """The row of every profile after its first event."""
    profiles = Profiles(MemoryRows({}), 0)
    decided = decide_run(mix.first, profiles, mix.catalog, POLICY, RunStart(0, 0, b"0", {}))
    return {key: row for key, row in decided.rows.items() if row is not None}


def stages(mix: Mix, stored: dict[bytes, bytes]) -> dict[str, float]:
    """Seconds of each stage over all events, in the pipeline's order: a run's rows, then event by event, then its rows
    again.
    """
    decode, parse, folding, deciding, encode = 0.0, 0.0, 0.0, 0.0, 0.0
    for run in runs(mix.events):
        begun = perf_counter()
        rows = [decode_row(stored[profile_key(record.key)]) for record in run]
        decode += perf_counter() - begun
        after = []
        for row, record in zip(rows, run, strict=True):
            t1 = perf_counter()
            event = parse_event(record)
            t2 = perf_counter()
            change = fold(row.profile, event, 1)
            t3 = perf_counter()
            for flow in find_concerned(change, mix.catalog):
                decide(flow, record, change, mix.catalog)
            t4 = perf_counter()
            parse, folding, deciding = parse + t2 - t1, folding + t3 - t2, deciding + t4 - t3
            after.append(change.after)
        begun = perf_counter()
        for profile in after:
            encode_row(profile, 1)
        encode += perf_counter() - begun
    return {"decode": decode, "parse": parse, "fold": folding, "decide": deciding, "encode": encode}


def whole(mix: Mix, stored: dict[bytes, bytes]) -> tuple[float, int]:
    """(seconds of the pipeline's own loop over all events, export records)."""
    profiles = Profiles(MemoryRows(stored), CACHE_BYTES)
    seconds, exports = 0.0, 0
    for sequence, run in enumerate(runs(mix.events)):
        begun = perf_counter()
        decided = decide_run(run, profiles, mix.catalog, POLICY, RunStart(sequence, 0, b"0", {}))
        profiles.applied(sequence, decided.rows)
        seconds += perf_counter() - begun
        exports += len(decided.exports)
    return seconds, exports


def measure(mix: Mix, shown: Collection[str] = STAGES) -> None:
    """Measure one mix, and print it."""
    stored = filled(mix)
    rounds: list[dict[str, float]] = []
    for _ in range(ROUNDS):
        spent = stages(mix, stored)
        seconds, exports = whole(mix, stored)
        rounds.append({**spent, "five stages": sum(spent.values()), "run": seconds})
    row_bytes = sum(map(len, stored.values())) / len(stored)
    print(f"{mix.name}: {exports / len(mix.events):.2f} records an event, {row_bytes:,.0f} bytes a row")
    for stage in shown:
        each = [spent[stage] / len(mix.events) * 1e6 for spent in rounds]
        print(f"  {stage:12} {median(each):6.1f} µs an event, lowest {min(each):6.1f}", flush=True)


def main() -> None:
    """Print every mix, here or in a process that has the compiled packages."""
    if not COMPILED and "--interpreted" not in sys.argv:
        os.execve(
            sys.executable, [sys.executable, "-m", "benchmarks.core"], preferring(compiled_packages(), os.environ)
        )
    print("compiled" if COMPILED else "interpreted")
    gc.disable()  # the worker collects rarely
    measure(one_flow())
    measure(ten_flows())
    for mix in hundred_flows():
        measure(mix, shown=("decide", "run"))


if __name__ == "__main__":
    main()
