"""Preflight asks whether a flow would be authorized, without writing what a consumer would see, and tells it in words.

It blocks, for seconds.

    access                is there a Kinesis that knows these credentials?   ListStreams
    kinesis:ListStreams   allowed?                                           ListStreams, paged by the last name
    stream                there, and active?                                 ListStreams; where not allowed, the probes
    kinesis:PutRecord     allowed?                                           a probe that cannot be stored
    kinesis:PutRecords    allowed?                                           a probe that cannot be stored

A probe is an empty record whose explicit hash key is 2^128, one above the highest there is (AWS API reference,
PutRecord), sent with DryRun: whoever may write is told InvalidArgument, or that it was a dry run; whoever may not,
AccessDenied. AWS does not say in which order it checks, so "allowed" is what the response means most likely.
DescribeStream is not among the permissions and never asked.

Of another account's stream (G10) ListStreams tells nothing, so the probes alone say whether it is there.
Whether a customer's key lets us write (kms:GenerateDataKey, G11) shows when a record is written, and not before.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore.config import Config

from processor.delivery.kinesis.code_words import KEY_PERMISSION, is_of_sign_up
from processor.delivery.kinesis.credentials import NO_SECRETS, open_session
from processor.delivery.kinesis.endpoints import ANY_ENDPOINT, EndpointRules
from processor.delivery.kinesis.faults import DestinationUnusable, Fault, FaultKind, PauseReason
from processor.delivery.kinesis.preflight_words import SIGN_UP, describe_fault, explain_fault, remedy_of
from processor.delivery.kinesis.questions import DRY_RUN, QUOTE_ALL, Answer, Outcome, Question, Quote
from processor.delivery.kinesis.responses import classify_response
from processor.delivery.kinesis.stream_check import find_stream
from processor.delivery.kinesis.stream_list import Client, find_streams
from processor.foundation.secrets import Secrets
from schemas.destination import Destination

ANSWER_SECONDS: Final = 5.0
NO_HASH_KEY: Final = str(2**128)
_OF_A_KEY: Final = (
    f"; a stream with a customer's key asks its writers for {KEY_PERMISSION} as well, which no probe shows"
)
_PROBE: Final = {"Data": b"", "PartitionKey": "profile-exporter check", "ExplicitHashKey": NO_HASH_KEY}
_WALL_CLOCK: Final = time.time


def examine(
    destination: Destination,
    environ: Mapping[str, str],
    secrets: Secrets = NO_SECRETS,
    endpoints: EndpointRules = ANY_ENDPOINT,
    quote: Quote = QUOTE_ALL,
) -> list[Answer]:
    """Answer every question in the order above; where access failed the rest is not asked. Home of G6.

    Secrets are looked up in `environ`, or opened by `secrets`; `endpoints` says which may be asked at all, `quote` what
    is told of their answers.
    """
    try:
        client = _open(destination, environ, secrets, endpoints)
        streams, list_fault = find_streams(client)
    except Exception as error:  # whatever botocore raises is classified as the sink does, and told
        return [_no_access(error, destination, quote)]
    probes = {question: _quoted(fault, quote) for question, fault in _probe_both(client, destination).items()}
    where = destination.endpoint_url or "Kinesis"
    return [
        Answer(Question.ACCESS, Outcome.OK, f"{where} answers, and knows the credentials"),
        _permission(Question.LIST_STREAMS, _quoted(list_fault, quote), destination),
        find_stream(destination, streams, list(probes.values()), quote),
        *(_permission(question, fault, destination) for question, fault in probes.items()),
    ]


def _no_access(error: Exception, destination: Destination, quote: Quote) -> Answer:
    found = classify_response(error, 1).whole
    assert found is not None
    fault = found if isinstance(error, DestinationUnusable) else quote.fault(found)
    text, remedy = explain_fault(fault, error, destination, _WALL_CLOCK()), remedy_of(fault, error, destination)
    return Answer(Question.ACCESS, Outcome.FAILED, text, remedy)


def _quoted(fault: Fault | None, quote: Quote) -> Fault | None:
    return None if fault is None else quote.fault(fault)


def _open(destination: Destination, environ: Mapping[str, str], secrets: Secrets, endpoints: EndpointRules) -> Any:
    config = Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=ANSWER_SECONDS,
        read_timeout=ANSWER_SECONDS,
    )
    return endpoints.open_client(open_session(destination, environ, secrets), destination, config)


def _probe_both(client: Client, destination: Destination) -> dict[Question, Fault | None]:
    named = destination.named
    return {
        Question.PUT_RECORD: _probe(lambda: client.put_record(**named, DryRun=True, **_PROBE)),
        Question.PUT_RECORDS: _probe(lambda: client.put_records(**named, DryRun=True, Records=[_PROBE])),
    }


def _probe(ask: Callable[[], object]) -> Fault | None:
    """Return the fault that the probe was told; None: it was taken, which Kinesis never does."""
    try:
        response = ask()
    except Exception as error:
        return classify_response(error, 1).whole
    return classify_response(response, 1).of(0) if isinstance(response, dict) and "Records" in response else None


def _permission(question: Question, fault: Fault | None, destination: Destination) -> Answer:
    if fault is None:
        if question is Question.LIST_STREAMS:
            return Answer(question, Outcome.OK, "allowed")
        return Answer(
            question,
            Outcome.UNKNOWN,
            "the endpoint took a record with a hash key that there is not: it is no Kinesis, or stored it",
        )
    if fault.pause is PauseReason.ACCESS_DENIED:
        return Answer(
            question, Outcome.FAILED, f"not allowed: {describe_fault(fault)}", _grant(question, fault, destination)
        )
    if fault.kind is FaultKind.REJECTED or fault.code == DRY_RUN or fault.pause is PauseReason.STREAM_NOT_FOUND:
        return Answer(
            question, Outcome.OK, "allowed, most likely" + (_OF_A_KEY if question is Question.PUT_RECORDS else "")
        )
    return Answer(question, Outcome.UNKNOWN, f"no answer that says so: {fault}", "ask again later")


def _grant(question: Question, fault: Fault, destination: Destination) -> str:
    if is_of_sign_up(fault.code):
        return SIGN_UP
    if destination.account is None or question is Question.LIST_STREAMS:
        return f"allow the flow's credentials {question}"
    by_owner = f"let account {destination.account} allow them in the stream's own policy"
    return f"allow the flow's credentials {question} on {destination.stream_arn}, and {by_owner}"
