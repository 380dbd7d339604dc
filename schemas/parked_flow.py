"""A row of the topic `delivery-positions`: how far one parked flow is in one partition of `exports`.

Every parked interval has a key of its own, ["<flow id>","<interval id>"]: nobody overwrites or removes what another
knows, but an owner who has written what it took over from there.
"""

from typing import Annotated

from pydantic import Field

from schemas.model import Items, Model, Time


class ParkedFlowRow(Model):
    """Offsets are of `exports`. What is said to be finished is so for ever, also where the row is old.

    A flow is parked where `until` is null: its records from `first` on that are not in `finished` are still to be
    delivered, wherever the group's offset is. With `until`, that holds below it; from there on the group's offset
    counts again.
    """

    flow: str
    partition: int
    first: int  # the lowest offset that is not finished
    finished: Annotated[tuple[Annotated[tuple[int, int], Items], ...], Items] = ()  # above it: from, up to and without
    until: int | None = None
    reason: str | None = None  # why it is paused, a PauseReason; null: it is not, and catches up
    since: Time | None = None  # when the pause began
    waiting: int = 0  # records not finished, of those below `counted`
    counted: int = 0
    oldest: int | None = None  # Kafka's time of the record at `first`, in milliseconds
    gone: int = Field(default=0)  # offsets that the log lost before they were read
