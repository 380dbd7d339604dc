"""The waits for the group's coordinator: to assign partitions, and to answer, without which nothing is delivered."""

from typing import Final

from processor.worker.waits import Wait, Waits

_ASSIGNMENT: Final = "the group, to assign partitions: its coordinator, and the other workers"
_LEASE: Final = "the group's coordinator, to answer: nothing is sent to destinations meanwhile"


class GroupWaits:
    """Both waits of one worker; each begins and ends once or more."""

    def __init__(self, waits: Waits) -> None:
        self._waits = waits
        self._assignment: Wait | None = None
        self._lease: Wait | None = None

    def begin_assignment(self) -> None:
        """Wait for the group to assign partitions, from now on."""
        if self._assignment is None:
            self._assignment = self._waits.begin(_ASSIGNMENT)

    def end_assignment(self) -> None:
        """Note that the group has assigned partitions, or that nobody waits for it any more."""
        if self._assignment is not None:
            self._waits.end(self._assignment)
            self._assignment = None

    def note_lease(self, *, is_missed: bool) -> None:
        """Wait for the coordinator's answer while it is missed: nobody knows any more whose the partitions are."""
        if is_missed and self._lease is None:
            self._lease = self._waits.begin(_LEASE)
        elif not is_missed and self._lease is not None:
            self._waits.end(self._lease)
            self._lease = None
