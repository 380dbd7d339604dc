"""The ends up to which a changelog is restored, once no transaction is open below them that nobody here knows.

A broker that was restarted in the middle of ending a transaction may not say so yet: it acknowledged the commit, fenced
its producer, and still shows the transaction as open (seen once, on Kafka 4 in KRaft mode). What lies there must be
neither passed over nor wiped: then its events would be decided twice.

    the copy ends within what is open    its commit was acknowledged: the copy is right as it is, and the owner of the
                                         partition completes the commit, since the broker may never do so
    it does not                          wait until the broker has ended the transaction
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Final, NamedTuple

import structlog
from aiokafka import TopicPartition

from state.changelog import ChangelogConsumer

SETTLE_SECONDS: Final = 90.0  # longer than a transaction may stay open by default (60 s)
_LOOK_SECONDS: Final = 0.1
_log = structlog.get_logger(__name__)

WaitingOn = Callable[[str], AbstractContextManager[None]]
"""A context for as long as something is waited for, which it is told in words."""


class SettledEnd(NamedTuple):
    """The offset up to which a partition is restored; `is_shown`: the broker shows everything below as committed."""

    offset: int
    is_shown: bool


class RestoreStalled(Exception):
    """An error of a restore that goes no further before the changelog's end.

    Nothing came for a minute, or a transaction stays open that nobody can be writing.
    """


async def wait_for_settled_ends(
    places: Mapping[TopicPartition, int],
    written: Mapping[TopicPartition, int],
    consumer: ChangelogConsumer,
    waiting_on: WaitingOn,
) -> dict[TopicPartition, SettledEnd]:
    """Wait until nothing is open below `written`, the high watermarks; return where to read to.

    That is the last stable offsets, or where a copy is further. `places`: where the local copy of each partition ends.
    """
    loop = asyncio.get_running_loop()
    topic, deadline = next(iter(places)).topic, loop.time() + SETTLE_SECONDS
    with ExitStack() as waiting:
        told = False
        while True:
            stable = await consumer.end_offsets(list(places))
            ends = {place: settled_end(copy_end, stable[place], written[place]) for place, copy_end in places.items()}
            unsettled = {place.partition: (stable[place], written[place]) for place, end in ends.items() if end is None}
            if not unsettled:
                return {place: end for place, end in ends.items() if end is not None}
            if loop.time() > deadline:
                remedy = "see kafka-transactions.sh find-hanging"
                raise RestoreStalled(
                    f"{topic}: a transaction of a producer that was fenced stays open, from and up to {unsettled};"
                    f" {remedy}"
                )
            if not told:
                _log.warning("transaction_still_open", offsets=unsettled, waiting_seconds=SETTLE_SECONDS)
                waiting.enter_context(waiting_on(f"transactions that are open on {topic}, to be ended by the broker"))
                told = True
            await asyncio.sleep(_LOOK_SECONDS)


def settled_end(copy_end: int, stable: int, written: int) -> SettledEnd | None:
    """Return up to where a partition is to be restored, or None: the broker has not ended a transaction yet.

    Then this copy does not tell how it ends. `stable`: the last stable offset, `written`: the high watermark of a
    moment before; `copy_end`: where the local copy is.
    """
    if stable >= written:
        return SettledEnd(stable, is_shown=True)
    if stable < copy_end <= written:
        _log.warning("commit_not_shown_yet", copy=copy_end, last_stable_offset=stable, high_watermark=written)
        return SettledEnd(copy_end, is_shown=False)
    return None
