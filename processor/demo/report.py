"""Write the tour's summary as texts and rows for the screen. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from processor.core.decide import SkipReason
from processor.demo.descriptions import CauseDescriptions
from processor.sandbox.streams import StreamRecord
from processor.verify.comparison import Comparison
from processor.verify.evidence import Evidence
from processor.verify.expectation import Expectation
from schemas.export import ExportRecord
from schemas.flow import Flow

Row = Sequence[str]

FLOW_HEADER: Final = ("flow", "records", "entered", "left", "attribute", "identity", "in the stream", "came again")

_LINE_CHARACTERS: Final = 110
_CAUSES: Final[Mapping[str, Callable[[str], bool]]] = {
    "entered": lambda cause: cause.startswith("segment:") and cause.endswith(":realized"),
    "left": lambda cause: cause.startswith("segment:") and cause.endswith(":exited"),
    "attribute": lambda cause: cause.startswith("attribute:"),
    "identity": lambda cause: cause.startswith("identity:"),
}


class Example(NamedTuple):
    """A record in full, with its title and why it left."""

    title: str
    text: str
    reason: str


def counted(counts: Mapping[Any, int]) -> str:
    """Write counts as `first 12 · second 3`, the most frequent first."""
    return " · ".join(f"{name} {count:,}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


def flow_rows(
    flows: Iterable[Flow], expectation: Expectation, evidence: Evidence, comparisons: Mapping[str, Comparison]
) -> Iterator[Row]:
    """Yield a row a flow under FLOW_HEADER; a record with causes of several kinds counts under each of them."""
    for flow in flows:
        records = expectation.of_flow(flow.id)
        by_cause = [sum(any(map(is_one, record.causes)) for record in records) for is_one in _CAUSES.values()]
        numbers = [len(records), *by_cause, len(evidence.streams[flow.id]), comparisons[flow.id].repeated]
        yield (flow.id, *(f"{number:,}" for number in numbers))


def skip_rows(flows: Sequence[Flow], skipped: Mapping[tuple[str, SkipReason], int]) -> Iterator[Row]:
    """Yield a row a reason, with a column a flow: how often it decided to send nothing."""
    for reason in SkipReason:
        numbers = [skipped.get((flow.id, reason), 0) for flow in flows]
        if any(numbers):
            yield (reason.replace("_", " "), *(f"{number:,}" if number else "-" for number in numbers))


def examples(
    flows: Iterable[Flow], expectation: Expectation, evidence: Evidence, descriptions: CauseDescriptions
) -> Iterator[Example]:
    """Yield a record of each flow that sends, as its stream holds it: with few causes, of another kind each time."""
    kinds = iter(_CAUSES.values())
    for flow in flows:
        arrived = {(record.partition_key, record.data): record for record in evidence.streams[flow.id]}
        wanted = next(kinds, None) or _CAUSES["entered"]
        found = min(
            _delivered(expectation.of_flow(flow.id), arrived, wanted),
            key=lambda pair: len(pair[0].causes),
            default=None,
        )
        if found is not None:
            yield _example(flow, *found, descriptions)


def _delivered(
    records: Iterable[ExportRecord], arrived: Mapping[tuple[str, bytes], StreamRecord], wanted: Callable[[str], bool]
) -> Iterator[tuple[ExportRecord, StreamRecord]]:
    for record in records:
        in_stream = arrived.get((record.partition_key, record.value))
        if in_stream is not None and any(map(wanted, record.causes)):
            yield record, in_stream


def _example(flow: Flow, record: ExportRecord, in_stream: StreamRecord, descriptions: CauseDescriptions) -> Example:
    title = f"{flow.name}: {flow.destination.stream}, {in_stream.shard}, partition key {in_stream.partition_key}"
    return Example(
        title, laid_out(orjson.loads(in_stream.data)), f"left because: {descriptions.describe_all(record.causes)}"
    )


def laid_out(value: Any, indent: int = 0) -> str:
    """Write a JSON value: an object on one line where it fits, else each of its keys on a line of its own."""
    text = orjson.dumps(value).decode()
    if not isinstance(value, dict) or indent + len(text) <= _LINE_CHARACTERS:
        return text
    inside = " " * (indent + 2)
    lines = (f"{inside}{orjson.dumps(name).decode()}: {laid_out(below, indent + 2)}" for name, below in value.items())
    return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}"


def dead_letter_counts(evidence: Evidence) -> Counter[str]:
    """Count dead letters by reason, as read back; one that came again counts once."""
    return Counter(
        str(reason)
        for _, _, _, reason in {(one.topic, one.partition, one.offset, one.reason) for one in evidence.dead_letters}
    )
