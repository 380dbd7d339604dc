"""Whether a flow would be let in: is the endpoint there, and does it know the stream (contract G6). In words, never a stack trace.

It asks ListStreams and nothing else; DescribeStream is not among the permissions. It blocks, for seconds.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, NamedTuple, Protocol

from botocore.config import Config

from processor.delivery.answers import BrokenAnswer, Fault, FaultKind, PauseReason, judge
from processor.delivery.credentials import open_session
from schemas.destination import Destination

ANSWER_SECONDS: Final = 5.0
_USABLE: Final = ("ACTIVE", "UPDATING")  # AWS API reference, StreamSummary.StreamStatus
_MOST_NAMES: Final = 5


class Problem(NamedTuple):
    """What is wrong with a destination, and what to do about it."""

    text: str
    remedy: str


class Lister(Protocol):
    """The part of a boto3 client that is used here."""

    def list_streams(self, **arguments: Any) -> Mapping[str, Any]:
        """One page."""
        ...


def check_destination(destination: Destination, environ: Mapping[str, str]) -> Problem | None:
    """What keeps the destination from being used; None: the stream is there. Secrets are looked up in `environ`."""
    try:
        streams = dict(list_streams(_open(destination, environ)))
    except Exception as error:  # whatever botocore raises is judged as the sink judges it, and told
        fault = judge(error, 1).whole
        assert fault is not None
        return Problem(_told(fault, destination), _remedy(fault, destination))
    status = streams.get(destination.stream)
    if status is None:
        return _no_stream(destination, list(streams))
    if status not in _USABLE:
        return Problem(f"the stream is {status}", "wait until it is ACTIVE; records wait as long")
    return None


def list_streams(client: Lister) -> Iterator[tuple[str, str]]:
    """(name, status) of every stream, page by page; ACTIVE where the endpoint does not tell.

    Raises BrokenAnswer. By the last name and not by a token, which some endpoints ignore: boto3's own paginator stops there (design 6.6).
    """
    after: dict[str, str] = {}
    while True:
        page = client.list_streams(**after)
        names = page.get("StreamNames")
        if names is None:  # boto3 takes a success that is no JSON for an empty one (design 6.1)
            raise BrokenAnswer("a success that names no streams: is this Kinesis?")
        told = {summary["StreamName"]: summary["StreamStatus"] for summary in page.get("StreamSummaries") or []}
        yield from ((name, told.get(name, "ACTIVE")) for name in names)
        if not (names and page.get("HasMoreStreams")) or names[-1] in after.values():  # the same page again: it does not know the argument
            return
        after = {"ExclusiveStartStreamName": names[-1]}


def place(destination: Destination) -> str:
    """Where a destination is, for people: stream, region, endpoint."""
    behind = f" at {destination.endpoint_url}" if destination.endpoint_url is not None else ""
    return f"stream {destination.stream} in {destination.region}{behind}"


def _open(destination: Destination, environ: Mapping[str, str]) -> Any:
    config = Config(retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=ANSWER_SECONDS, read_timeout=ANSWER_SECONDS)
    return open_session(destination, environ).client("kinesis", endpoint_url=destination.endpoint_url, config=config)


def _no_stream(destination: Destination, names: list[str]) -> Problem:
    near = get_close_matches(destination.stream, names, n=_MOST_NAMES) or sorted(names)[:_MOST_NAMES]
    there = f"there are {len(names)}, as {', '.join(near)}" if near else "there is none at all"
    endpoint = f" --endpoint-url {destination.endpoint_url}" if destination.endpoint_url is not None else ""
    create = f"aws kinesis create-stream --stream-name {destination.stream} --region {destination.region}{endpoint}"
    return Problem(f"no such stream; {there}", f"create it (`{create}`), or name another one in the flow and `profile-exporter apply` it")


def _told(fault: Fault, destination: Destination) -> str:
    if fault.pause is PauseReason.ACCESS_DENIED:
        return f"kinesis:ListStreams is not allowed: {fault}"
    if fault.kind in (FaultKind.NOT_SENT, FaultKind.AMBIGUOUS):
        return f"no usable answer from {destination.endpoint_url or 'Kinesis'}: {fault}"
    return f"{fault.pause or fault.kind}: {fault.message or fault.code}"


def _remedy(fault: Fault, destination: Destination) -> str:
    if fault.pause is not None:
        return _REMEDIES.get(fault.pause, "mend the flow's destination and `profile-exporter apply` it")
    if fault.kind is FaultKind.THROTTLED:
        return "ask again later"
    if destination.endpoint_url is not None:
        return "start the endpoint, or correct endpointUrl in the flow and `profile-exporter apply` it"
    return "check the region of the flow, and the way from here to AWS (network, proxy, DNS)"


_REMEDIES: Final = {
    PauseReason.ACCESS_DENIED: "allow the flow's credentials kinesis:ListStreams, kinesis:PutRecord and kinesis:PutRecords",
    PauseReason.CREDENTIALS_MISSING: "give the worker (and this command) the credentials that the flow's destination names",
    PauseReason.CREDENTIALS_REFUSED: "correct the credentials that the flow's destination names, or this machine's clock",
}
