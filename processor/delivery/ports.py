"""The ports of delivery: where flows go, a stream to put records on, a place for dead letters, rows of parked flows."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from schemas.dead_letter import DeadLetter
from schemas.destination import Destination
from schemas.export import Export
from schemas.kafka import ConsumerRecord, Headers
from schemas.parked_flow import ParkedFlowRow


class ExportDeadLetter(NamedTuple):
    """A dead letter of delivery: `headers` of the export record, as they were, and how often it was sent."""

    letter: DeadLetter
    headers: Headers
    attempts: int


class Destinations(Protocol):
    """The destinations of flows, as the catalog has them now; asked again before every call to Kinesis (G9)."""

    def destination(self, flow_id: str) -> Destination | None:
        """Return the destination in force, also of a disabled flow; None where there is no such flow."""


class DeadLetters(Protocol):
    """A durable place for what cannot be delivered."""

    async def put(self, letters: Sequence[ExportDeadLetter]) -> None:
        """Write dead letters in this order; return when all are durable.

        What it raises ends delivery: nothing more is acknowledged.
        """


class Stream(Protocol):
    """One destination, opened. Called from the event loop, several calls at a time; must not block it."""

    async def put(self, exports: Sequence[Export]) -> object:
        """Make one PutRecords call, never repeated inside.

        Returns the response, however odd, or raises what went wrong.
        """

    def close(self) -> None:
        """Close its connections; no call is in flight."""


class ParkedRows(Protocol):
    """A durable place for how far parked flows are, a row a key."""

    async def write(self, partition: int, rows: Mapping[str, ParkedFlowRow | None]) -> None:
        """Write rows of one partition of `exports`, None to remove one; return when all are durable.

        What it raises ends delivery.
        """


class Page(NamedTuple):
    """Records of one flow as they stand on `exports`.

    Everything from where was asked up to `next_offset` was looked at.

    `gone`: how many offsets, from where was asked on, the log does not hold any more.
    """

    records: Sequence[ConsumerRecord]
    next_offset: int
    gone: int = 0


class ExportsLog(Protocol):
    """Reads `exports` a second time, beside the group's consumer; only what is committed."""

    async def read(self, partition: int, offset: int, flow_id: str, records: int, size_bytes: int) -> Page:
        """Return the flow's next records: about so many of them at most, perhaps none.

        Returns within some seconds, also at the log's end.
        """
        ...

    async def close(self) -> None:
        """Close its connections; the next `read` opens them again."""


class ParkingPorts(NamedTuple):
    """Everything that parked flows need from outside. `new_interval` gives a name that nobody had before."""

    rows: ParkedRows
    log: ExportsLog
    new_interval: Callable[[], str]


OpenStream = Callable[[Destination], Stream]
"""Opens a destination. Returns at once and does not fail: what is wrong with the destination is raised by `put`."""
