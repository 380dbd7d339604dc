"""Find where to read on when a log does not hold our position, or a fetch jumped over offsets.

A log start may pass our position at any moment (retention, DeleteRecords). Nobody moves a position then but the owner,
who knows whether that loses records; as a second belt, a position that jumped without records is compared with the log
start, every few seconds at most: markers of transactions are jumped over all the time. What a leader does not answer in
time is fetched again later.
"""

import asyncio
from collections.abc import Mapping
from typing import Final, Protocol

from faust.types import TP

from processor.transport.fetching import ASKED_AGAIN_SECONDS
from processor.transport.owner import Owner

CHECK_SECONDS: Final = 10.0
"""The time between two looks at one log start for the sake of what was jumped over."""


class SeekingConsumer(Protocol):
    """The consumer, as far as positions go."""

    owner: Owner | None
    epoch: int

    def pause(self, topic: str, partition: int) -> None:
        """Fetch no more of a partition."""

    async def go_to(self, positions: Mapping[TP, int], epoch: int) -> bool:
        """Read on at `positions`; return whether the partitions are still assigned then."""
        ...


class LogPositionCheck:
    """Asks the owner where to read on, and keeps partitions whose leader does not answer from being fetched."""

    def __init__(self, consumer: SeekingConsumer) -> None:
        self._consumer = consumer
        self._checked_at: dict[TP, float] = {}
        self._left_until: dict[TP, float] = {}

    def clear(self) -> None:
        """Forget everything: partitions were assigned anew."""
        self._checked_at.clear()
        self._left_until.clear()

    async def lost_nothing(self, tp: TP, reached: int, epoch: int) -> bool:
        """Return whether what a fetch jumped over was no record: markers, an aborted transaction.

        Where that is not known, it is fetched again. It is looked at from time to time: aiokafka itself raises where
        the broker has lost what comes next.
        """
        now = asyncio.get_running_loop().time()
        if now < self._checked_at.get(tp, 0.0):
            return True
        if not await self._ask_positions({tp: reached}, epoch):
            return False
        self._checked_at[tp] = now + CHECK_SECONDS
        return True

    async def leave_outside(self, outside: Mapping[TP, int], epoch: int) -> dict[TP, int]:
        """Go to where the owner says, of partitions whose log does not hold our position; return what was passed."""
        positions = await self._ask_positions(outside, epoch) if outside else {}
        if not positions or not await self._consumer.go_to(positions, epoch):
            return {}
        return {tp: position for tp, position in positions.items() if position > outside[tp]}

    async def _ask_positions(self, reached: Mapping[TP, int], epoch: int) -> dict[TP, int]:
        """Ask the owner where to read partitions on; leave out those of which nothing is to be handed on now.

        One whose leader does not answer is read again from where it was, later: nothing that was fetched of it is lost.
        """
        consumer = self._consumer
        assert consumer.owner is not None
        positions = await consumer.owner.positions_in_log(reached)
        if epoch != consumer.epoch:
            return {}
        for tp, position in positions.items():
            if position is None:
                consumer.pause(*tp)
        unknown = {tp: offset for tp, offset in reached.items() if tp not in positions}
        self._left_until.update(dict.fromkeys(unknown, asyncio.get_running_loop().time() + ASKED_AGAIN_SECONDS))
        await consumer.go_to(unknown, epoch)
        return {tp: position for tp, position in positions.items() if position is not None}

    def is_left_alone(self, tp: TP) -> bool:
        """Return whether a partition is not fetched for now, as its leader did not answer; callable in any thread."""
        return asyncio.get_running_loop().time() < self._left_until.get(tp, 0.0)
