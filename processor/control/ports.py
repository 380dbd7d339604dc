"""The port of the control plane: a log that is read to its end and written all or nothing."""

from collections.abc import Sequence
from typing import Protocol

from processor.catalog.state import ControlRecord, ControlState
from processor.foundation.errors import StoppedForOperator


class Overtaken(Exception):
    """Somebody else wrote meanwhile: nothing of ours was written, and `state` has what they wrote. Decide again."""


class Superseded(StoppedForOperator):
    """A newer control API has taken over; this one writes nothing more."""

    def __init__(self) -> None:
        super().__init__(
            "another control API was started and has taken over: this one stops, so that only one writes; nothing is"
            " lost\n  call the other one; or stop it, and start this one again"
        )


class ControlLog(Protocol):
    """The log of the control plane's topics."""

    def state(self) -> ControlState:
        """Return the state by all that was committed when this was called, or a moment before; never goes back."""
        ...

    def commit(self, records: Sequence[ControlRecord]) -> None:
        """Write all of these, or none; when it returns they are durable and in `state`.

        Raises Overtaken, Superseded; CommandError where the broker does not take them: then it is not known whether
        they are there.
        """
