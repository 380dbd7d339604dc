"""Replay of the events as they stand on the topic, each decided by the catalog that was in force for it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from processor.catalog.compiled import compile_catalog
from processor.catalog.state import ControlState, Topic
from processor.core.catalog import Catalog
from processor.core.replay import Replay
from processor.core.step import Limits
from processor.foundation.settings import Settings
from processor.kafka.reading import read_topic
from processor.verify.expectation import Expectation
from schemas.kafka import ReadRecord
from schemas.profile import Profile

CatalogOf = Callable[[ReadRecord], Catalog]
"""The catalog that decided a record."""


@dataclass(slots=True)
class Replayed:
    """The outcome of replay: `expectation` is what left, `profiles` what is kept by partition and key (I12).

    `applied` is the offset of the last event of each.

    By partition: the offset after the last event, and how many of the last ones were bad.
    """

    expectation: Expectation = field(default_factory=Expectation)
    profiles: Mapping[tuple[int, bytes], Profile] = field(default_factory=dict)
    applied: dict[tuple[int, bytes], int] = field(default_factory=dict)
    next_offsets: dict[int, int] = field(default_factory=dict)
    bad_in_a_row: dict[int, int] = field(default_factory=dict)


def replay(events: Iterable[ReadRecord], limits: Limits, catalog_of: CatalogOf) -> Replayed:
    """Fold and decide `events`, which are in the order of each partition.

    A change of the catalog sends what its jobs send.
    """
    runs: dict[int, Replay] = {}
    replayed = Replayed()
    outcome = replayed.expectation
    for event in events:
        catalog = catalog_of(event)
        run = runs.setdefault(event.partition, Replay(Catalog.of((), ()), limits))
        if catalog is not run.catalog:
            outcome.records += run.change(catalog)
        was_there = (event.topic, event.partition, event.key or b"") in run.profiles
        step = run.feed(event)
        outcome.events += 1
        outcome.records += step.records
        replayed.next_offsets[event.partition] = event.offset + 1
        replayed.bad_in_a_row.setdefault(event.partition, 0)
        if step.dead_letter is None:
            replayed.bad_in_a_row[event.partition] = 0
        else:
            replayed.bad_in_a_row[event.partition] += 1
            outcome.dead_letters.append(step.dead_letter)
        if step.dead_letter is None and step.skipped_event is None:
            replayed.applied[event.partition, event.key or b""] = event.offset
        if was_there and step.profile is None:
            outcome.forgotten.add((event.key or b"").decode())
    replayed.profiles = {
        (partition, key): profile for run in runs.values() for (_, partition, key), profile in run.profiles.items()
    }
    return replayed


def catalog_in_force(settings: Settings) -> Catalog:
    """As the topics say, with the etags of the flows."""
    state = ControlState()
    for topic, name in ((Topic.AUDIENCES, settings.topics.audiences), (Topic.FLOWS, settings.topics.flows)):
        state = state.after((topic, record) for record in read_topic(settings, name))
    return compile_catalog(state)
