"""Events that flow while a test does something else."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from threading import Event, Thread
from typing import Final

from processor.kafka.writer import Writer
from processor.sandbox.shop import ShopEvent
from tests.kit.whole_job import WholeJob

SLICES_A_SECOND: Final = 20
OUTAGE_SECONDS: Final = 180.0
"""How long an event waits for a broker that is away: longer than any test lets it be."""


@contextmanager
def flowing(job: WholeJob, events: Iterator[ShopEvent], per_second: int) -> Iterator[None]:
    """Events are written all the while, about so many a second; raises what kept them from being written."""
    stopped = Event()
    faults: list[BaseException] = []

    settings = job.installation.settings
    topic = settings.topics.profile_events

    def send() -> None:
        try:
            with Writer(settings, OUTAGE_SECONDS) as writer:
                while not stopped.wait(1 / SLICES_A_SECOND):
                    for event in islice(events, max(1, per_second // SLICES_A_SECOND)):
                        writer.write(topic, event.key, event.value, name=repr(event.key), timestamp=event.timestamp)
        except BaseException as error:
            faults.append(error)

    sender = Thread(target=send)
    sender.start()
    try:
        yield
    except BaseException as error:
        for fault in faults:
            error.add_note(f"events stopped flowing: {fault!r}")
        raise
    finally:
        stopped.set()
        sender.join()
    if faults:
        raise faults[0]
