"""The answer whether a destination's stream is there, by ListStreams and the probes, and what to do where it is not."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from processor.delivery.kinesis.code_words import KEY_PERMISSION
from processor.delivery.kinesis.faults import Fault, FaultKind, PauseReason
from processor.delivery.kinesis.questions import DRY_RUN, Answer, Outcome, Question, Quote
from schemas.destination import Destination

_OF_THE_STREAM: Final = {
    PauseReason.ENCRYPTION_KEY_UNUSABLE: (
        f"allow the flow's credentials {KEY_PERMISSION} on the stream's key, in the key's own policy where it is "
        "another account's; or enable the key, or give the stream another one; records wait as long"
    ),
    PauseReason.STREAM_NOT_READY: "wait until the stream is ACTIVE; records wait as long",
}
_USABLE: Final = ("ACTIVE", "UPDATING")  # AWS API reference, StreamSummary.StreamStatus
_MOST_NAMES: Final = 5


def find_stream(
    destination: Destination, streams: Mapping[str, str] | None, probes: list[Fault | None], quote: Quote
) -> Answer:
    """Answer whether the stream is there, by the names that are listed and by the faults of the probes."""
    faults = [fault for fault in probes if fault is not None]
    listed = streams if destination.account is None else None  # ListStreams tells of the credentials' own account alone
    if listed is not None and destination.stream not in listed:
        return _no_stream(destination, len(listed), quote.names(list(listed)))
    if listed is None and any(fault.pause is PauseReason.STREAM_NOT_FOUND for fault in faults):
        return _no_stream_unlisted(destination)
    for fault in faults:
        if fault.pause in _OF_THE_STREAM:
            return Answer(Question.STREAM, Outcome.FAILED, f"{fault.pause}: {fault}", _OF_THE_STREAM[fault.pause])
    if listed is None:
        return _stream_unlisted(
            destination, any(fault.kind is FaultKind.REJECTED or fault.code == DRY_RUN for fault in faults)
        )
    status = listed[destination.stream]
    if status not in _USABLE:
        return Answer(
            Question.STREAM, Outcome.FAILED, f"the stream is {status}", "wait until it is ACTIVE; records wait as long"
        )
    return Answer(Question.STREAM, Outcome.OK, f"there, {status}")


def _stream_unlisted(destination: Destination, known: bool) -> Answer:
    """Answer by the probes: of another account's stream, and where kinesis:ListStreams is not allowed."""
    if destination.account is None:
        return Answer(
            Question.STREAM,
            Outcome.OK if known else Outcome.UNKNOWN,
            "there" if known else "nobody tells without kinesis:ListStreams",
        )
    outcome, found = (Outcome.OK, "there, most likely") if known else (Outcome.UNKNOWN, "nobody tells")
    return Answer(
        Question.STREAM,
        outcome,
        f"{found}; kinesis:ListStreams tells nothing of account {destination.account}'s streams",
    )


def _no_stream_unlisted(destination: Destination) -> Answer:
    if destination.account is None:
        return Answer(
            Question.STREAM,
            Outcome.FAILED,
            "no such stream",
            f"create it (`{_create(destination)}`), or name another one in the flow",
        )
    text = f"account {destination.account} has no such stream in {destination.region}"
    return Answer(
        Question.STREAM,
        Outcome.FAILED,
        text,
        f"ask that account for the stream's ARN, or to create it (`{_create(destination)}`)",
    )


def _no_stream(destination: Destination, count: int, names: list[str]) -> Answer:
    near = get_close_matches(destination.stream, names, n=_MOST_NAMES) or sorted(names)[:_MOST_NAMES]
    there = (f"there are {count}" + (f", as {', '.join(near)}" if near else "")) if count else "there is none at all"
    remedy = f"create it (`{_create(destination)}`), or name another one in the flow and `profile-exporter apply` it"
    return Answer(Question.STREAM, Outcome.FAILED, f"no such stream; {there}", remedy)


def _create(destination: Destination) -> str:
    endpoint = f" --endpoint-url {destination.endpoint_url}" if destination.endpoint_url is not None else ""
    return f"aws kinesis create-stream --stream-name {destination.stream} --region {destination.region}{endpoint}"
