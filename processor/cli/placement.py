"""Check whether the newest events are in the partitions where PARTITIONER puts their keys (contract I12)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from processor.cli.views.check_report import Finding, Level
from processor.core.misplaced import NAMES, remedy_of_misplaced, tell_misplaced
from processor.core.partitioner import partition_of
from processor.foundation.errors import CommandError
from processor.foundation.settings import Settings
from processor.kafka.reading import read_newest
from schemas.kafka import ReadRecord
from schemas.partitioner import Partitioner

NEWEST: Final = 200
"""Offsets of each partition that are looked at, of few partitions."""
_ALL_NEWEST: Final = 20_000
_AT_LEAST: Final = 20
_MOST_SHOWN: Final = 8


def check_placement(settings: Settings) -> Iterator[Finding]:
    """Compare the newest events of each partition with PARTITIONER.

    A topic that may not be read, or is empty, is no fault.
    """
    topic = settings.topics.profile_events
    try:
        offsets = max(_AT_LEAST, min(NEWEST, _ALL_NEWEST // settings.partitions))
        events = [
            record._replace(value=None, headers=()) for record in read_newest(settings, topic, offsets) if record.key
        ]
    except CommandError as error:
        text, _, remedy = str(error).partition("\n")
        yield Finding(
            Level.WARNING, f"the newest events of {topic} are not compared with PARTITIONER: {text}", remedy.strip()
        )
        return
    if not events:
        yield Finding(
            Level.OK, f"{topic} holds no events: there is nothing to compare with PARTITIONER={settings.partitioner}"
        )
    elif settings.partitioner is Partitioner.NONE:
        yield from _unknown(settings, events)
    else:
        yield _compared(settings, events)


def _compared(settings: Settings, events: list[ReadRecord]) -> Finding:
    partitioner = settings.partitioner
    misplaced = [record for record in events if not _fits(record, settings, partitioner)]
    if not misplaced:
        return Finding(Level.OK, f"the newest {len(events):,} events are where {NAMES[partitioner]} puts their keys")
    fitting = _fitting(misplaced, settings)
    where = Counter(record.partition for record in misplaced)
    named = ", ".join(f"{count} in {partition}" for partition, count in sorted(where.items())[:_MOST_SHOWN])
    more = ", …" if len(where) > _MOST_SHOWN else ""
    last = misplaced[-1]
    belongs = partition_of(last.key or b"", settings.partitions, partitioner)
    what = f"of the newest {len(events):,} events {tell_misplaced(partitioner, len(misplaced))}"
    where_else = (
        f"by partition: {named}{more}; the key at {last.topic}[{last.partition}] offset {last.offset} belongs in"
        f" {belongs}"
    )
    return Finding(Level.WARNING, f"{what} ({where_else})", remedy_of_misplaced(partitioner, len(misplaced), fitting))


def _unknown(settings: Settings, events: list[ReadRecord]) -> Iterator[Finding]:
    """Find, with PARTITIONER=none, a partitioner that fits all the same, and keys on two partitions."""
    fitting = _fitting(events, settings)
    whole = [partitioner for partitioner in NAMES if fitting[partitioner] == len(events)]
    if whole and settings.partitions > 1:
        text = f"PARTITIONER=none, and {NAMES[whole[0]]} fits all of the newest {len(events):,} events"
        yield Finding(
            Level.WARNING, text, f"set PARTITIONER={whole[0]}: then commands need not look up where profiles are"
        )
    else:
        yield Finding(
            Level.OK,
            "PARTITIONER=none: no partitioner that is known fits the newest events; commands look up where"
            " profiles are",
        )
    partitions_of: defaultdict[bytes, set[int]] = defaultdict(set)
    for record in events:
        partitions_of[record.key or b""].add(record.partition)
    if several := sum(len(partitions) > 1 for partitions in partitions_of.values()):
        text = (
            f"{several} of the newest keys {'are' if several > 1 else 'is'} on two partitions: each is two profiles,"
            " half each"
        )
        yield Finding(Level.WARNING, text, "let all producers of profile events use one partitioner")


def _fitting(events: Iterable[ReadRecord], settings: Settings) -> Counter[str]:
    """Count the events that each partitioner puts where they are, by its name."""
    return Counter(
        partitioner.value for record in events for partitioner in NAMES if _fits(record, settings, partitioner)
    )


def _fits(record: ReadRecord, settings: Settings, partitioner: Partitioner) -> bool:
    return partition_of(record.key or b"", settings.partitions, partitioner) == record.partition
