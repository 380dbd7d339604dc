"""What the index of identities costs: python -m benchmarks.identities [--interpreted]

    an event that names the known identities, one that writes none, one that changes one of two namespaces     decided, its rows applied to RocksDB
    a page of the index built                                                                                   a profile of three identities

The pipeline's own loop over runs (`decide_run`) with the index and without it, in turns within one process; the medians of the rounds, and the
median of their ratios. `decide`: as `benchmarks.core` has it. `store`: the same with the batch that a commit applies to RocksDB, so that rows
cost what they cost there. The broker's part is not in it: rows of the index are about 60 bytes beside a profile's row and an event's exports.
"""

import gc
import os
import sys
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple

from benchmarks.core import POLICY, runs
from benchmarks.mixes import AUDIENCES, Mix, catalog_of, event, records
from processor.hot_path import COMPILED
from processor.pipeline.decided import Before, decide_run
from processor.pipeline.identity_index import IdentityIndex, IndexSettings
from processor.pipeline.profiles import Profiles
from state.identity import Identity
from state.identity_rows import INDEX_KEY, IndexProgress, IndexState, encode_progress
from state.partition import PartitionStore, shared_memory
from state.rows import WATERMARK_KEY, Watermark, encode_watermark
from tests.kit.compiled import compiled_packages, preferring

PROFILES = 20_000
ROUNDS = 9
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
    first = records((event(f"first-{number}", number, {**whole, "identityMap": identities(number)}) for number in range(PROFILES)), 0)
    kinds: dict[str, Any] = {
        "no identities": lambda _: {},
        "the known identities": lambda number: {"identityMap": identities(number)},
        "another identity": lambda number: {"identityMap": identities(number, changed=True)},
    }
    for name, named in kinds.items():
        events = (
            event(f"evt-{number}", number, {"segmentMembership": {"ups": {AUDIENCES[4]: {"status": "realized"}}}, **named(number)})
            for number in range(PROFILES)
        )
        yield Mix(name, catalog, first, records(events, PROFILES))


class Store(NamedTuple):
    """A partition on disk after the first events, with the index whole or without it."""

    store: PartitionStore
    enabled: bool


def filled(mix: Mix, path: Path, *, enabled: bool) -> Store:
    """Apply the first event of every profile."""
    memory = shared_memory(128 * MIB, WRITE_BUFFER_BYTES, 2)
    store = PartitionStore.open(path, Identity(None, "bench", "changelog", None, 0, 1), memory)
    played(Store(store, enabled), mix, mix.first, stores=True)
    return Store(store, enabled)


def played(at: Store, mix: Mix, events: list[Any], *, stores: bool) -> tuple[float, float]:
    """(seconds of deciding, seconds with the batches applied) of all events; without `stores` the partition stays as it is."""
    profiles = Profiles(at.store, CACHE_BYTES)
    index = IdentityIndex(at.store, profiles, IndexSettings(at.enabled))
    kept = index if index.is_kept else None
    deciding = storing = 0.0
    group: dict[bytes, bytes | None] = {}
    for sequence, run in enumerate(runs(events)):
        begun = perf_counter()
        decided = decide_run(run, profiles, mix.catalog, POLICY, Before(sequence, 0, {}, b"0", identities=kept))
        deciding += perf_counter() - begun
        group |= decided.rows
        if (sequence + 1) % GROUP_RUNS and sequence < len(events) // len(run) - 1:
            continue
        begun = perf_counter()
        if index.progress is not None:
            group[INDEX_KEY] = encode_progress(index.progress._replace(next_offset=decided.next_offset))
        group[WATERMARK_KEY] = encode_watermark(Watermark(decided.next_offset))
        if stores:
            at.store.apply(group, decided.next_offset)
        profiles.applied(sequence, group)
        storing += perf_counter() - begun
        group = {}
    return deciding, deciding + storing


def measure(mix: Mix) -> None:
    """Print one mix."""
    with TemporaryDirectory() as folder:
        rounds: list[dict[bool, tuple[float, float]]] = []
        for number in range(ROUNDS):
            stores = {enabled: filled(mix, Path(folder) / f"{number}-{enabled}", enabled=enabled) for enabled in (number % 2 == 0, number % 2 == 1)}
            rounds.append({enabled: played(at, mix, mix.events, stores=True) for enabled, at in stores.items()})
            for at in stores.values():
                at.store.close()
    print(mix.name)
    for what, place in (("decide", 0), ("store", 1)):
        on, off = ([each[enabled][place] / len(mix.events) * 1e6 for each in rounds] for enabled in (True, False))
        ratio = median(one / other for one, other in zip(on, off, strict=True))
        print(f"  {what:8} {median(off):6.2f} µs an event without, {median(on):6.2f} with it, ratio {ratio:.3f}", flush=True)


def measure_building() -> None:
    """Print what it takes to build the index of profiles that have none."""
    mix = next(mixes())
    with TemporaryDirectory() as folder:
        at = filled(mix, Path(folder) / "built", enabled=False)
        profiles = Profiles(at.store, 0)
        index = IdentityIndex(at.store, profiles, IndexSettings())
        begun, rows = perf_counter(), 0
        for sequence in count(1):
            page = index.new_page(events_come=False)
            while not page.is_full:
                index.slice(page)
            rows += len(page.rows)
            at.store.apply(written(page.rows, index.progress), sequence)
            if page.ended:
                break
        spent = perf_counter() - begun
        at.store.close()
    print(f"built: {spent / PROFILES * 1e6:.1f} µs a profile of three identities, {rows / PROFILES:.0f} rows each")


def written(rows: Mapping[bytes, bytes | None], progress: IndexProgress | None) -> dict[bytes, bytes | None]:
    """A page as it is committed."""
    return {**rows, INDEX_KEY: encode_progress(progress or IndexProgress(IndexState.COMPLETE))}


def main() -> None:
    """Print every mix, here or in a process that has the compiled packages."""
    if not COMPILED and "--interpreted" not in sys.argv:
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.identities"], preferring(compiled_packages(), os.environ))
    print("compiled" if COMPILED else "interpreted")
    gc.disable()  # the worker collects rarely
    for mix in mixes():
        measure(mix)
    measure_building()


if __name__ == "__main__":
    main()
