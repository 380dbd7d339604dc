"""Compare what a worker sent with what replay sends: all of it, nothing else, in order per profile and flow. Pure.

    replay ─► expected ─┬─ exports topic   by lane: each record once, or (at least once) again with the same id and
                                           bytes
                        ├─ streams         by lane: the same bytes in the same order; what came again, came after the
                                           restart
                        └─ dead letters    by offset in the source: the same bytes, the same reason

A stream's record carries its id and its profile only inside an envelope. Without one its lane is its partition key,
which then must be the profile id; whether two records of a lane with equal bytes were exchanged, nobody can see.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple, TypeVar

import orjson

from processor.sandbox.streams import StreamRecord
from processor.verify.sequence import SequenceMatch, match_sequence
from schemas.dead_letter import DeadLetter
from schemas.export import ExportRecord
from schemas.flow import Flow

_SHOWN_CHARACTERS: Final = 160

Item = TypeVar("Item")
Found = TypeVar("Found")
Lane = TypeVar("Lane", str, tuple[str, str])


class Comparison(NamedTuple):
    """A comparison: how many were expected, how many came again, and the faults, one text each."""

    expected: int
    repeated: int
    faults: tuple[str, ...]


class ExportedRecord(NamedTuple):
    """A record of the `exports` topic, as far as it is compared."""

    record_id: str
    flow_id: str
    key: str
    partition_key: str
    value: bytes


class SentRecord(NamedTuple):
    """A record of a stream, as far as its consumer sees it."""

    partition_key: str
    data: bytes


def compare_exports(
    expected: Sequence[ExportRecord], found: Sequence[ExportedRecord], *, may_repeat: bool, forgotten: frozenset[str]
) -> Comparison:
    """Compare the `exports` topic with `expected`; `found` is in the order of each partition.

    `may_repeat`: the worker was killed, on a broker without transactions. `forgotten` are the profiles that ended: what
    repeats of theirs is decided without their state, so the id is the same and the bytes may not be (G1).
    """
    wanted = _by_lane(
        (
            ExportedRecord(record.id, record.flow_id, record.key, record.partition_key, record.value)
            for record in expected
        ),
        _lane_of,
    )
    faults: list[str] = []
    repeated = 0
    for lane, items, came in _side_by_side(wanted, _by_lane(found, _lane_of)):
        flow_id, key = lane
        ids = {item.record_id for item in items} if may_repeat and key in forgotten else set()
        match = match_sequence(items, came, {item for item in came if item.record_id in ids}.difference(items))
        where = f"exports: {key} for {flow_id}"
        faults += _lane_faults(where, match, [item.record_id for item in items], [item.record_id for item in came])
        faults += [
            f"{where}: {came[index].record_id} came again, in spite of transactions"
            for index in match.repeats
            if not may_repeat
        ]
        repeated += len(match.repeats)
    return Comparison(len(expected), repeated, tuple(faults))


def compare_stream(
    flow: Flow,
    expected: Sequence[ExportRecord],
    exports: Sequence[ExportedRecord],
    found: Sequence[StreamRecord],
    restarted_at: datetime | None,
) -> Comparison:
    """Compare the stream of one flow, which no other flow writes to, with `expected`.

    `exports` are as the topic has them, `found` is in the order of each shard. A record may come again only after
    `restarted_at` (None: never), to the second. Raises ValueError for a flow whose records do not say whose they are.
    """
    lane_of = lane_reader(flow)
    wanted = _by_lane(
        (record for record in expected if record.flow_id == flow.id), lambda record: lane_of(_sent(record))
    )
    exported = _by_lane(
        (SentRecord(item.partition_key, item.value) for item in exports if item.flow_id == flow.id), lane_of
    )
    records = _by_lane(found, lambda record: lane_of(SentRecord(record.partition_key, record.data)))
    faults: list[str] = []
    repeated = 0
    for lane, decided, came in _side_by_side(wanted, records):
        items = [_sent(record) for record in decided]
        sent = [SentRecord(record.partition_key, record.data) for record in came]
        match = match_sequence(items, sent, set(exported.get(lane, ())).difference(items))
        where = f"{flow.destination.stream}: {lane}"
        faults += _lane_faults(where, match, [record.id for record in decided], [_shown(item.data) for item in sent])
        unexplained = [came[index] for index in match.repeats if not _is_after(came[index].arrival, restarted_at)]
        faults += [f"{where}: came again, and no restart explains it: {_shown(record.data)}" for record in unexplained]
        repeated += len(match.repeats)
    return Comparison(sum(map(len, wanted.values())), repeated, tuple(faults))


def compare_dead_letters(
    expected: Sequence[DeadLetter], found: Sequence[DeadLetter], *, may_repeat: bool
) -> Comparison:
    """Compare dead letters: the same records, whole, for the same reasons; explanation and time are not compared."""
    wanted, came = {dead_letter[:6] for dead_letter in expected}, Counter(dead_letter[:6] for dead_letter in found)
    faults = [
        f"dead letters: missing: {_named(dead_letter)}" for dead_letter in expected if dead_letter[:6] not in came
    ]
    faults += [
        f"dead letters: replay does not dead-letter this so: {_named(dead_letter)}"
        for dead_letter in found
        if dead_letter[:6] not in wanted
    ]
    repeated = sum(count - 1 for count in came.values())
    if repeated and not may_repeat:
        faults.append(f"dead letters: {repeated} came again, in spite of transactions")
    return Comparison(len(expected), repeated, tuple(faults))


def _sent(record: ExportRecord) -> SentRecord:
    return SentRecord(record.partition_key, record.value)


def _lane_of(item: ExportedRecord) -> tuple[str, str]:
    return item.flow_id, item.key


def lane_reader(flow: Flow) -> Callable[[SentRecord], str]:
    """Return how a consumer of the flow's stream finds the lane of a record."""
    if flow.options.envelope == "cloudevents":
        return lambda sent: _subject(sent.data)
    if flow.options.partition_key == "profileId":
        return lambda sent: sent.partition_key
    raise ValueError(
        f"the records of {flow.id} do not say whose they are: no envelope, and another partition key than the"
        " profile id"
    )


def _subject(data: bytes) -> str:
    try:
        return str(orjson.loads(data)["subject"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "no profile"


def _by_lane(items: Iterable[Item], lane_of: Callable[[Item], Lane]) -> dict[Lane, list[Item]]:
    lanes: dict[Lane, list[Item]] = defaultdict(list)
    for item in items:
        lanes[lane_of(item)].append(item)
    return lanes


def _side_by_side(
    expected: Mapping[Lane, Sequence[Item]], found: Mapping[Lane, Sequence[Found]]
) -> Iterator[tuple[Lane, Sequence[Item], Sequence[Found]]]:
    for lane in {**expected, **found}:
        yield lane, expected.get(lane, ()), found.get(lane, ())


def _lane_faults(where: str, match: SequenceMatch, expected: Sequence[str], found: Sequence[str]) -> Iterator[str]:
    """Yield the faults of one lane; `expected` and `found` name the items that were matched."""
    if missing := expected[match.reached :]:
        yield f"{where}: {len(missing)} missing or out of order, from {missing[0]}"
    for index in match.unexpected:
        yield f"{where}: not what replay sends there: {found[index]}"


def _is_after(arrival: datetime, restarted_at: datetime | None) -> bool:
    """Return whether a record arrived after the restart; endpoints may report the arrival to the second only."""
    return restarted_at is not None and arrival >= restarted_at.replace(microsecond=0)


def _shown(data: bytes) -> str:
    text = data.decode(errors="replace")
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _named(dead_letter: DeadLetter) -> str:
    return f"{dead_letter.topic}-{dead_letter.partition}-{dead_letter.offset} ({dead_letter.reason})"
