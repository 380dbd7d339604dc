"""The owner of partitions, who processes what the consumer fetches: its port, its time-outs, and their errors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from faust.types import TP

Partition = TP
"""(topic, partition), as Faust has it."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The time-outs of the consumer, in seconds; what takes longer ends the worker, or is passed over."""

    seek: float = 180.0
    """To find where partitions begin: offsets, and a minute each for reading and writing rows of parked flows."""
    release: float = 12.0
    """For the owner to finish or drop what revoked partitions have under way."""
    last_commit: float = 4.0
    """For the last commit of revoked partitions; with `release` and the time to hear of the revocation it stays below
    the time that the group waits for its members (20 s and more, `worker.faust_app`).
    """
    close: float = 10.0
    """For aiokafka's consumer to close."""
    bounds: float = 3.0
    """For a partition's leader to say what its log holds: no other partition is fetched meanwhile."""


DEFAULT_TIMEOUTS: Final = Timeouts()


class Owner(Protocol):
    """The owner of the assigned partitions, who processes what the consumer fetches."""

    def start(self) -> None:
        """Start what needs no partitions: the consumer begins to wait for the group; called before anything else."""

    async def release(self, partitions: Iterable[TP]) -> None:
        """Finish or drop what revoked partitions have under way; nothing of them may be written when it returns.

        What `start_positions` does meanwhile ends, and raises PartitionsRevoked.
        """

    async def start_positions(self, partitions: Iterable[TP]) -> Mapping[TP, int]:
        """Return where to begin; raise where the log no longer holds that, and PartitionsRevoked.

        Partitions left out are not fetched.
        """
        ...

    async def positions_in_log(self, reached: Mapping[TP, int]) -> Mapping[TP, int | None]:
        """Return where to read on; `reached` may lie below the log start.

        None: the partition is not fetched any more, as its records are lost, or nobody here reads it. Left out: its
        leader did not answer.
        """
        ...

    async def drain(self) -> None:
        """Finish or drop everything under way: the consumer is about to stop for good."""


class SeekTooSlow(Exception):
    """An error that ends the worker: nobody said in time where partitions begin.

    Asked were their leaders, the group's coordinator, and who keeps the rows of parked flows.
    """

    def __init__(self, partitions: Iterable[TP], seconds: float) -> None:
        names = ", ".join(f"{tp.topic}[{tp.partition}]" for tp in sorted(partitions))
        super().__init__(
            f"where to begin was not known within {seconds:.0f} s: {names}\n  look whether the broker has leaders"
            " for them, and a coordinator for the group; started again, the worker tries again"
        )


class ReleaseTooSlow(Exception):
    """An error that ends the worker: revoked partitions are still worked on, and their next owner begins."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"partitions were revoked, and could not be released within {seconds:.0f} s\n"
            "  the worker ends, as their next owner begins, from what is durable; started again, it takes its part"
        )
