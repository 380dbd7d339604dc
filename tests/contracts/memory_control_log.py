"""A control log in memory; the contract suite runs it and the real one."""

from collections.abc import Sequence

from processor.catalog.state import ControlRecord, ControlState
from processor.control.ports import Overtaken, Superseded


class SharedRecords:
    """The records that all logs of one installation have in common."""

    def __init__(self) -> None:
        self.records: list[ControlRecord] = []
        self.owner: object = None  # whoever fenced the others last
        self.api: object = None  # the newest control API


class MemoryControlLog:
    """One writer: of an API (`is_api`), or of a command."""

    def __init__(self, shared: SharedRecords, *, is_api: bool) -> None:
        self._shared = shared
        self._is_api = is_api
        shared.owner = self
        if is_api:
            shared.api = self

    def state(self) -> ControlState:
        return ControlState().after(self._shared.records)

    def commit(self, records: Sequence[ControlRecord]) -> None:
        shared = self._shared
        if self._is_api and shared.api is not self:
            raise Superseded
        if shared.owner is not self:
            shared.owner = self
            raise Overtaken
        shared.records.extend(records)
