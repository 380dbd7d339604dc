"""Measure what the index of identities costs: python -m benchmarks.identities [--interpreted].

    an event that names the known identities, one that writes none,
    one that changes one of two namespaces                             decided, its rows applied to RocksDB
    a chunk of the index built                                         a profile of three identities

The pipeline's own loop over runs (`decide_run`) with the index and without it, in turns within one process, by the
processor time of its thread; the medians of the rounds, and the median of their ratios. `decide`: as `run` of
`benchmarks.core`. `store_too`: with the batches that commits apply to RocksDB. What the rows cost the client of Kafka
and the broker is not in it.
"""

import gc
import os
import sys
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import thread_time
from typing import Any

from benchmarks.core import POLICY, runs
from benchmarks.mixes import AUDIENCES, Mix, catalog_of, event, records
from processor.pipeline.decider import RunStart, decide_run
from processor.pipeline.identity_index import IdentityIndex, IndexSettings
from processor.pipeline.profiles import Profiles
from processor.worker.hot_path import COMPILED
from schemas.kafka import ReadRecord
from schemas.wire.identity_index import INDEX_KEY, IndexProgress, IndexState, encode_progress
from schemas.wire.profiles_changelog import SOURCE_POSITION_KEY, SourcePosition, encode_source_position
from state.identity import Identity
from state.partition import PartitionStore
from state.store_options import shared_memory
from tests.kit.compiled import compiled_packages, preferring

PROFILES = 20_000
ROUNDS = 7
MIB = 1 << 20
WRITE_BUFFER_BYTES = 32 * MIB
CACHE_BYTES = 256 * MIB
GROUP_RUNS = 5  # of a commit


def identities(profile: int, *, changed: bool = False) -> dict[str, Any]:
    """Three in two namespaces; changed: another one in one of them."""
    ecid = f"145750065363492864{profile:020d}"
    return {
        "ECID": [{"id": f"9{ecid[1:]}" if changed else ecid, "primary": True}],
        "Email": [{"id": f"{profile}@example.com"}, {"id": f"{profile}@b.org"}],
    }


def mixes() -> Iterator[Mix]:
    """One flow; an event writes a membership beside what the name says of identities."""
    flow = {
        "id": "f",
        "destination": {"type": "kinesis", "stream": "bench", "region": "us-east-1"},
        "audiences": [{"namespace": "ups", "id": audience} for audience in AUDIENCES[:3]],
        "attributes": ["person.name.firstName"],
    }
    catalog = catalog_of({"flows": [flow]})
    memberships = {"ups": {audience: {"status": "realized"} for audience in AUDIENCES}}
    whole = {"person": {"name": {"firstName": "Ada", "lastName": "Doe"}}, "segmentMembership": memberships}
    first = records(
        (event(f"first-{number}", number, {**whole, "identityMap": identities(number)}) for number in range(PROFILES)),
        0,
    )
    kinds: dict[str, Any] = {
        "no identities": lambda _: {},
        "the known identities": lambda number: {"identityMap": identities(number)},
        "another identity": lambda number: {"identityMap": identities(number, changed=True)},
    }
    for name, named in kinds.items():
        events = (
            event(
                f"evt-{number}",
                number,
                {"segmentMembership": {"ups": {AUDIENCES[4]: {"status": "realized"}}}, **named(number)},
            )
            for number in range(PROFILES)
        )
        yield Mix(name, catalog, first, records(events, PROFILES))


class Player:
    """A partition on disk, its pipeline's loop, and the processor time that it took: `decide` alone, `store` with the
    batches applied.
    """

    def __init__(self, mix: Mix, path: Path, *, enabled: bool) -> None:
        memory = shared_memory(128 * MIB, WRITE_BUFFER_BYTES, 1)
        self.store = PartitionStore.open(path, Identity(None, "bench", "changelog", None, 0, 1), memory)
        self.profiles = Profiles(self.store, CACHE_BYTES)
        self._catalog = mix.catalog
        self._index = IdentityIndex(self.store, self.profiles, IndexSettings(enabled))
        self._sequence = 0
        self._group: dict[bytes, bytes | None] = {}
        self.decide = self.store_too = 0.0
        for run in runs(mix.first):
            self.play(run)
        self.decide = self.store_too = 0.0

    def play(self, run: list[ReadRecord]) -> None:
        """Decide a run; what five of them lead to is one batch."""
        begun = thread_time()
        self._sequence += 1
        decided = decide_run(
            run,
            self.profiles,
            self._catalog,
            POLICY,
            RunStart(self._sequence, 0, b"0", {}, identities=self._index.upkeep),
        )
        self.decide += thread_time() - begun
        self._group |= decided.rows
        if self._sequence % GROUP_RUNS == 0:
            if self._index.progress is not None:
                self._group[INDEX_KEY] = encode_progress(self._index.progress._replace(next_offset=decided.next_offset))
            self._group[SOURCE_POSITION_KEY] = encode_source_position(SourcePosition(decided.next_offset))
            self.store.apply(self._group, decided.next_offset)
            self.profiles.applied(self._sequence, self._group)
            self._group = {}
        self.store_too += thread_time() - begun


def measure(mix: Mix) -> None:
    """Print one mix: the two take turns, run by run, whoever is first."""
    rounds: list[tuple[Player, Player]] = []
    for number in range(ROUNDS):
        with TemporaryDirectory() as folder:
            players = (
                Player(mix, Path(folder) / "without", enabled=False),
                Player(mix, Path(folder) / "with", enabled=True),
            )
            for turn, run in enumerate(runs(mix.events)):
                for player in players if (turn + number) % 2 else players[::-1]:
                    player.play(run)
            rounds.append(players)
            for player in players:
                player.store.close()
    print(mix.name)
    for what in ("decide", "store_too"):
        off, on = ([getattr(players[which], what) / len(mix.events) * 1e6 for players in rounds] for which in (0, 1))
        ratios = [one / other for one, other in zip(on, off, strict=True)]
        costs = (
            f"{median(off):6.2f} µs an event without, {median(on):6.2f} with it; lowest {min(off):6.2f} and"
            f" {min(on):6.2f}"
        )
        print(
            f"  {what:9} {costs}; ratio {median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f}", flush=True
        )


def measure_building() -> None:
    """Print what it takes to build the index of profiles that have none."""
    mix = next(mixes())
    with TemporaryDirectory() as folder:
        at = Player(mix, Path(folder) / "built", enabled=False)
        index = IdentityIndex(at.store, Profiles(at.store, 0), IndexSettings())
        begun, rows = thread_time(), 0
        for sequence in count(1):
            chunk = index.new_chunk(events_come=False)
            while not chunk.is_full:
                index.do_slice(chunk)
            rows += len(chunk.rows)
            at.store.apply(written(chunk.rows, index.progress), sequence)
            if chunk.ended:
                break
        spent = thread_time() - begun
        at.store.close()
    print(f"built: {spent / PROFILES * 1e6:.1f} µs a profile of three identities, {rows / PROFILES:.0f} rows each")


def written(rows: Mapping[bytes, bytes | None], progress: IndexProgress | None) -> dict[bytes, bytes | None]:
    """Return a chunk's rows as they are committed."""
    return {**rows, INDEX_KEY: encode_progress(progress or IndexProgress(IndexState.COMPLETE))}


def main() -> None:
    """Print every mix, here or in a process that has the compiled packages."""
    if not COMPILED and "--interpreted" not in sys.argv:
        os.execve(
            sys.executable, [sys.executable, "-m", "benchmarks.identities"], preferring(compiled_packages(), os.environ)
        )
    print("compiled" if COMPILED else "interpreted")
    gc.disable()  # the worker collects rarely
    for mix in mixes():
        measure(mix)
    measure_building()


if __name__ == "__main__":
    main()
