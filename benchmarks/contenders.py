"""The contenders: ours and the peers, each as a command for a job, with the same events and records.

Ours has its hot path compiled, as in production (setup.py), and once more interpreted.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from benchmarks.environment import Job
from benchmarks.peers import kafka_streams, quix_streams, stock_faust
from benchmarks.process import Command
from processor.sandbox.flows import worker_environment
from tests.kit.compiled import compiled_packages, preferring


class Entry(NamedTuple):
    """A contender; a slow one is given `most_events` (after those that fill the profiles), for half a minute.

    Each of several processes runs the command, with a folder of its own.
    """

    name: str
    command: Callable[[Job], Command]
    most_events: int | None = None
    delivers: bool = False
    processes: int = 1


def ours(job: Job) -> Command:
    """Return the command of our whole worker."""
    return worker(job, "processor.app")


def ours_without_delivery(job: Job, exports: str, compiled: bool = True) -> Command:
    """Our worker as `benchmarks.without_delivery` has it; `exports` are unread or acknowledged."""
    command = worker(job, "benchmarks.without_delivery", compiled)
    return command._replace(environment={**command.environment, "BENCHMARK_EXPORTS": exports})


def worker(job: Job, app: str, compiled: bool = True) -> Command:
    """A worker of the Faust app in a module."""
    environment = worker_environment(job.installation.env)
    command = [sys.executable, "-m", "faust", "-A", app, "worker", "--without-web", "-l", "info"]
    return Command(command, preferring(compiled_packages(), environment) if compiled else environment)


def ours_in_processes(job: Job, count: int) -> Command:
    """Return the one command that runs so many of our whole workers, with their supervisor."""
    command = [sys.executable, "-m", "processor", "worker", "--processes", str(count)]
    return Command(command, preferring(compiled_packages(), worker_environment(job.installation.env)))


OURS = Entry("ours", partial(ours_without_delivery, exports="unread"))
OURS_INTERPRETED = Entry("ours-interpreted", partial(ours_without_delivery, exports="unread", compiled=False))
OURS_EXPORTS_READ = Entry("ours-exports-read", partial(ours_without_delivery, exports="acknowledged"))
OURS_DELIVERED = Entry("ours-delivered", ours, delivers=True)
KAFKA_STREAMS = Entry("kafka-streams", partial(kafka_streams.command, guarantee="exactly_once_v2"))
KAFKA_STREAMS_ALO = Entry("kafka-streams-alo", partial(kafka_streams.command, guarantee="at_least_once"))
QUIX_STREAMS = Entry("quix-streams", partial(quix_streams.command, guarantee="at-least-once"), most_events=300_000)
QUIX_STREAMS_EO = Entry("quix-streams-eo", partial(quix_streams.command, guarantee="exactly-once"), most_events=300_000)
STOCK_FAUST = Entry("stock-faust", stock_faust.command, most_events=30_000)

_ALL = (
    OURS,
    OURS_INTERPRETED,
    OURS_EXPORTS_READ,
    OURS_DELIVERED,
    KAFKA_STREAMS,
    KAFKA_STREAMS_ALO,
    QUIX_STREAMS,
    QUIX_STREAMS_EO,
    STOCK_FAUST,
)
ENTRIES = {entry.name: entry for entry in _ALL}
DELIVERED = ("ours-delivered", "ours", "kafka-streams", "quix-streams", "stock-faust")
"""Every event a record, delivered by ours."""
DEFAULT = (
    "ours",
    "ours-interpreted",
    "kafka-streams",
    "kafka-streams-alo",
    "quix-streams",
    "stock-faust",
    "ours-delivered",
)


def side_by_side(count: int) -> dict[str, Entry]:
    """Return the contenders with so many processes each, of ours by one command; Kafka Streams has threads in one."""
    kafka_threads = partial(kafka_streams.command, guarantee="exactly_once_v2", threads=count)
    entries = (
        OURS_DELIVERED._replace(name=f"ours-delivered-{count}", command=partial(ours_in_processes, count=count)),
        OURS_DELIVERED,
        KAFKA_STREAMS._replace(name=f"kafka-streams-{count}", command=kafka_threads),
        QUIX_STREAMS._replace(name=f"quix-streams-{count}", processes=count),
        STOCK_FAUST,
    )
    return {entry.name: entry for entry in entries}
