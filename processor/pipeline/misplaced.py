"""The alarm for events that are elsewhere than their keys belong (contract I12)."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog

from processor.core.misplaced import Misplaced, Placement, remedy_of_misplaced

ALARM_SECONDS: Final = 60.0
"""How often a partition says so, at most."""
_EFFECT: Final = "they are processed; a profile whose events are on two partitions is two profiles, half each"
_log = structlog.get_logger(__name__)


class MisplacedAlarm:
    """The alarm of one partition; `placement` None: nobody knows where keys belong, and nothing is noted."""

    def __init__(self, placement: Placement | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._placement, self._clock = placement, clock
        self._events, self._fitting = 0, Counter[str]()
        self._next_at = clock()

    def note(self, misplaced: Misplaced) -> None:
        """Log the first misplaced event at once, and later ones together, once a minute.

        The line tells the place of the last event, and where its key belongs.
        """
        self._events += misplaced.events
        self._fitting.update(misplaced.fitting)
        now, placement = self._clock(), self._placement
        if placement is None or now < self._next_at:
            return
        _log.error(
            "misplaced_events",
            topic=misplaced.topic,
            partition=placement.partition,
            offset=misplaced.offset,
            belongs_in=misplaced.belongs_in,
            events=self._events,
            partitioner=placement.partitioner.value,
            effect=_EFFECT,
            remedy=remedy_of_misplaced(placement.partitioner, self._events, self._fitting),
        )
        self._events, self._fitting, self._next_at = 0, Counter(), now + ALARM_SECONDS
