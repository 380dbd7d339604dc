"""Whether a flow would be let in (contract G6): asked without writing anything that a consumer would see, told in
words. It blocks, for seconds.

    access                is there a Kinesis, and does it know these credentials       ListStreams
    kinesis:ListStreams   allowed?                                                     ListStreams, paged by the last name
    stream                there, and active?                                           ListStreams; where that is not allowed, by the probes
    kinesis:PutRecord     allowed?                                                     a probe that cannot be stored
    kinesis:PutRecords    allowed?                                                     a probe that cannot be stored

A probe is an empty record whose explicit hash key is 2^128, one above the highest there is (AWS API reference,
PutRecord), sent with DryRun: whoever may write is told InvalidArgument, or that it was a dry run; whoever may not,
AccessDenied. AWS does not say in which order it checks, so "allowed" is what the answer means most likely.
DescribeStream is not among the permissions and never asked.

Of another account's stream (contract G10) ListStreams tells nothing, so the probes alone say whether it is there.
Whether a customer's key lets us write (kms:GenerateDataKey, contract G11) shows when a record is written, and not
before.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

from botocore.config import Config

from processor.delivery.kinesis.credentials import NO_SECRETS, open_session
from processor.delivery.kinesis.endpoints import ANY_ENDPOINT, EndpointRules
from processor.delivery.kinesis.preflight_words import SIGN_UP, in_words, remedy_of, speaks_html, told
from processor.delivery.kinesis.responses import (
    KEY_PERMISSION,
    BrokenAnswer,
    DestinationUnusable,
    Fault,
    FaultKind,
    PauseReason,
    is_of_sign_up,
    judge,
)
from processor.foundation.secrets import Secrets
from schemas.destination import Destination

ANSWER_SECONDS: Final = 5.0
NO_HASH_KEY: Final = str(2**128)
_DRY_RUN: Final = "DryRunOperationException"
_OF_A_KEY: Final = (
    f"; a stream with a customer's key asks its writers for {KEY_PERMISSION} as well, which no probe shows"
)
_OF_THE_STREAM: Final = {
    PauseReason.ENCRYPTION_KEY_UNUSABLE: (
        f"allow the flow's credentials {KEY_PERMISSION} on the stream's key, in the key's own policy where it is "
        "another account's; or enable the key, or give the stream another one; records wait as long"
    ),
    PauseReason.STREAM_NOT_READY: "wait until the stream is ACTIVE; records wait as long",
}
_PROBE: Final = {"Data": b"", "PartitionKey": "profile-exporter check", "ExplicitHashKey": NO_HASH_KEY}
_USABLE: Final = ("ACTIVE", "UPDATING")  # AWS API reference, StreamSummary.StreamStatus
_MOST_NAMES: Final = 5
_MOST_PAGES: Final = 1_000  # of a hundred names each; an endpoint that never ends would hold the caller for ever
_NO_CODE: Final = re.compile(r"[^A-Za-z0-9_.:#-]")
_CODE_CHARACTERS: Final = 64
_WALL_CLOCK: Final = time.time


class Question(StrEnum):
    """What is asked; see the module."""

    ACCESS = "access"
    LIST_STREAMS = "kinesis:ListStreams"
    STREAM = "stream"
    PUT_RECORD = "kinesis:PutRecord"
    PUT_RECORDS = "kinesis:PutRecords"


class Verdict(StrEnum):
    """`unknown`: the answer says neither."""

    OK = "ok"
    UNKNOWN = "unknown"
    FAILED = "failed"


class Answer(NamedTuple):
    """One question, answered; `remedy` is what to do where it is not ok."""

    question: Question
    verdict: Verdict
    text: str
    remedy: str = ""


class Client(Protocol):
    """The part of a boto3 client that is used here."""

    def list_streams(self, **arguments: Any) -> Mapping[str, Any]:
        """One page."""
        ...

    def put_record(self, **arguments: Any) -> Mapping[str, Any]:
        """One record."""
        ...

    def put_records(self, **arguments: Any) -> Mapping[str, Any]:
        """One call."""
        ...


class Quote(NamedTuple):
    """What is told of what an endpoint said: of a fault, and of the names of its streams."""

    fault: Callable[[Fault], Fault]
    names: Callable[[list[str]], list[str]]


QUOTE_ALL: Final = Quote(lambda fault: fault, lambda names: names)
"""For whoever could ask the endpoint himself."""

QUOTE_CODES: Final = Quote(
    lambda fault: fault._replace(code=_NO_CODE.sub("", fault.code)[:_CODE_CHARACTERS], message=""), lambda _: []
)
"""For callers who chose the address that is called from here, and would read what stands there."""


def examine(
    destination: Destination,
    environ: Mapping[str, str],
    secrets: Secrets = NO_SECRETS,
    endpoints: EndpointRules = ANY_ENDPOINT,
    quote: Quote = QUOTE_ALL,
) -> list[Answer]:
    """Every question in the order above; where access failed the rest is not asked.

    Secrets are looked up in `environ`, or opened by `secrets`; `endpoints` says which may be asked at all, `quote` what
    is told of their answers.
    """
    try:
        client = _open(destination, environ, secrets, endpoints)
        streams, list_fault = _streams(client)
    except Exception as error:  # whatever botocore raises is judged as the sink judges it, and told
        found = judge(error, 1).whole
        assert found is not None
        fault = found if isinstance(error, DestinationUnusable) else quote.fault(found)
        return [
            Answer(
                Question.ACCESS,
                Verdict.FAILED,
                in_words(fault, error, destination, _WALL_CLOCK()),
                remedy_of(fault, error, destination),
            )
        ]
    probes = {
        Question.PUT_RECORD: _probe(lambda: client.put_record(**destination.named, DryRun=True, **_PROBE)),
        Question.PUT_RECORDS: _probe(lambda: client.put_records(**destination.named, DryRun=True, Records=[_PROBE])),
    }
    list_fault, probes = (
        _quoted(list_fault, quote),
        {question: _quoted(fault, quote) for question, fault in probes.items()},
    )
    return [
        Answer(
            Question.ACCESS, Verdict.OK, f"{destination.endpoint_url or 'Kinesis'} answers, and knows the credentials"
        ),
        _permission(Question.LIST_STREAMS, list_fault, destination),
        _stream(destination, streams, list(probes.values()), quote),
        *(_permission(question, fault, destination) for question, fault in probes.items()),
    ]


def list_streams(client: Client) -> Iterator[tuple[str, str]]:
    """(name, status) of every stream, page by page; ACTIVE where the endpoint does not tell.

    Raises BrokenAnswer. By the last name and not by a token, which some endpoints ignore: boto3's own paginator stops
    there (design 6.6).
    """
    after: dict[str, str] = {}
    for _ in range(_MOST_PAGES):
        page = client.list_streams(**after)
        names = page.get("StreamNames")
        if names is None:  # boto3 takes a success that is no JSON for an empty one (design 6.1)
            raise BrokenAnswer(
                "a success that names no streams"
                + (": it is a web page (HTML)" if speaks_html(page) else ": is this Kinesis?")
            )
        told = {summary["StreamName"]: summary["StreamStatus"] for summary in page.get("StreamSummaries") or []}
        yield from ((name, told.get(name, "ACTIVE")) for name in names)
        if (
            not (names and page.get("HasMoreStreams")) or names[-1] in after.values()
        ):  # the same page again: it does not know the argument
            return
        after = {"ExclusiveStartStreamName": names[-1]}
    raise BrokenAnswer(f"more than {_MOST_PAGES} pages of streams: is this Kinesis?")


def _quoted(fault: Fault | None, quote: Quote) -> Fault | None:
    return None if fault is None else quote.fault(fault)


def _open(destination: Destination, environ: Mapping[str, str], secrets: Secrets, endpoints: EndpointRules) -> Any:
    config = Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=ANSWER_SECONDS,
        read_timeout=ANSWER_SECONDS,
    )
    return endpoints.open_client(open_session(destination, environ, secrets), destination, config)


def _streams(client: Client) -> tuple[dict[str, str] | None, Fault | None]:
    """Name → status, or the fault that hides them; raises what means that there is no access at all."""
    try:
        return dict(list_streams(client)), None
    except Exception as error:
        fault = judge(error, 1).whole
        assert fault is not None
        is_answer = (
            fault.pause is PauseReason.ACCESS_DENIED and not is_of_sign_up(fault.code)
        ) or fault.kind is FaultKind.THROTTLED
        of_role = getattr(error, "operation_name", "ListStreams") != "ListStreams"
        if not is_answer or of_role or speaks_html(error):
            raise
        return None, fault


def _probe(ask: Callable[[], object]) -> Fault | None:
    """What the probe was told; None: it was taken, which Kinesis never does."""
    try:
        answer = ask()
    except Exception as error:
        return judge(error, 1).whole
    return judge(answer, 1).of(0) if isinstance(answer, dict) and "Records" in answer else None


def _permission(question: Question, fault: Fault | None, destination: Destination) -> Answer:
    if fault is None:
        if question is Question.LIST_STREAMS:
            return Answer(question, Verdict.OK, "allowed")
        return Answer(
            question,
            Verdict.UNKNOWN,
            "the endpoint took a record with a hash key that there is not: it is no Kinesis, or stored it",
        )
    if fault.pause is PauseReason.ACCESS_DENIED:
        return Answer(question, Verdict.FAILED, f"not allowed: {told(fault)}", _grant(question, fault, destination))
    if fault.kind is FaultKind.REJECTED or fault.code == _DRY_RUN or fault.pause is PauseReason.STREAM_NOT_FOUND:
        return Answer(
            question, Verdict.OK, "allowed, most likely" + (_OF_A_KEY if question is Question.PUT_RECORDS else "")
        )
    return Answer(question, Verdict.UNKNOWN, f"no answer that says so: {fault}", "ask again later")


def _grant(question: Question, fault: Fault, destination: Destination) -> str:
    if is_of_sign_up(fault.code):
        return SIGN_UP
    if destination.account is None or question is Question.LIST_STREAMS:
        return f"allow the flow's credentials {question}"
    by_owner = f"let account {destination.account} allow them in the stream's own policy"
    return f"allow the flow's credentials {question} on {destination.stream_arn}, and {by_owner}"


def _stream(
    destination: Destination, streams: Mapping[str, str] | None, probes: list[Fault | None], quote: Quote
) -> Answer:
    faults = [fault for fault in probes if fault is not None]
    listed = streams if destination.account is None else None  # ListStreams tells of the credentials' own account alone
    if listed is not None and destination.stream not in listed:
        return _no_stream(destination, len(listed), quote.names(list(listed)))
    if listed is None and any(fault.pause is PauseReason.STREAM_NOT_FOUND for fault in faults):
        return _no_stream_unlisted(destination)
    for fault in faults:
        if fault.pause in _OF_THE_STREAM:
            return Answer(Question.STREAM, Verdict.FAILED, f"{fault.pause}: {fault}", _OF_THE_STREAM[fault.pause])
    if listed is None:
        return _stream_unlisted(
            destination, any(fault.kind is FaultKind.REJECTED or fault.code == _DRY_RUN for fault in faults)
        )
    status = listed[destination.stream]
    if status not in _USABLE:
        return Answer(
            Question.STREAM, Verdict.FAILED, f"the stream is {status}", "wait until it is ACTIVE; records wait as long"
        )
    return Answer(Question.STREAM, Verdict.OK, f"there, {status}")


def _stream_unlisted(destination: Destination, known: bool) -> Answer:
    """By the probes: of another account's stream, and where kinesis:ListStreams is not allowed."""
    if destination.account is None:
        return Answer(
            Question.STREAM,
            Verdict.OK if known else Verdict.UNKNOWN,
            "there" if known else "nobody tells without kinesis:ListStreams",
        )
    verdict, found = (Verdict.OK, "there, most likely") if known else (Verdict.UNKNOWN, "nobody tells")
    return Answer(
        Question.STREAM,
        verdict,
        f"{found}; kinesis:ListStreams tells nothing of account {destination.account}'s streams",
    )


def _no_stream_unlisted(destination: Destination) -> Answer:
    if destination.account is None:
        return Answer(
            Question.STREAM,
            Verdict.FAILED,
            "no such stream",
            f"create it (`{_create(destination)}`), or name another one in the flow",
        )
    text = f"account {destination.account} has no such stream in {destination.region}"
    return Answer(
        Question.STREAM,
        Verdict.FAILED,
        text,
        f"ask that account for the stream's ARN, or to create it (`{_create(destination)}`)",
    )


def _no_stream(destination: Destination, count: int, names: list[str]) -> Answer:
    near = get_close_matches(destination.stream, names, n=_MOST_NAMES) or sorted(names)[:_MOST_NAMES]
    there = (f"there are {count}" + (f", as {', '.join(near)}" if near else "")) if count else "there is none at all"
    remedy = f"create it (`{_create(destination)}`), or name another one in the flow and `profile-exporter apply` it"
    return Answer(Question.STREAM, Verdict.FAILED, f"no such stream; {there}", remedy)


def _create(destination: Destination) -> str:
    endpoint = f" --endpoint-url {destination.endpoint_url}" if destination.endpoint_url is not None else ""
    return f"aws kinesis create-stream --stream-name {destination.stream} --region {destination.region}{endpoint}"
