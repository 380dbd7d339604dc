"""An API that cannot tell whether it still writes stops, and says why."""

import threading
from collections.abc import Callable

import pytest

from processor.api.watch import WatchFailed, WriterWatch
from processor.control.ports import Superseded
from processor.foundation.errors import CommandError

SECONDS = 120.0


def looking(*outcomes: Exception | None) -> Callable[[], None]:
    """Each look comes to the next of these."""
    left = list(outcomes)

    def look() -> None:
        outcome = left.pop(0) if left else None
        if outcome is not None:
            raise outcome

    return look


def a_watch(look: Callable[[], None]) -> tuple[WriterWatch, threading.Event, threading.Event]:
    superseded, stopped = threading.Event(), threading.Event()
    watch = WriterWatch(look, superseded, stopped.set, every_seconds=0.001)
    watch.start()
    return watch, superseded, stopped


def test_a_look_that_fails_for_a_reason_that_nobody_thought_of_stops_the_api_with_words() -> None:
    watch, superseded, stopped = a_watch(looking(None, RuntimeError("Consumer closed")))

    assert stopped.wait(SECONDS)

    with pytest.raises(WatchFailed, match="could not look whether another one has taken over: RuntimeError"):
        watch.end()
    assert not superseded.is_set()


def test_an_api_that_was_superseded_stops() -> None:
    watch, superseded, stopped = a_watch(looking(None, Superseded()))

    assert stopped.wait(SECONDS)

    watch.end()
    assert superseded.is_set()


def test_a_kafka_that_does_not_answer_is_waited_for() -> None:
    looked = threading.Semaphore(0)
    look = looking(*(CommandError("Kafka has not answered") for _ in range(3)))

    def counted() -> None:
        looked.release()
        look()

    watch, superseded, stopped = a_watch(counted)
    for _ in range(6):
        assert looked.acquire(timeout=SECONDS)

    watch.end()
    assert not stopped.is_set()
    assert not superseded.is_set()
