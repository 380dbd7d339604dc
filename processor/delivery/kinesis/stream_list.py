"""The streams that an account has, as far as ListStreams tells."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

from processor.delivery.kinesis.code_words import is_of_sign_up
from processor.delivery.kinesis.faults import BrokenResponse, Fault, FaultKind, PauseReason
from processor.delivery.kinesis.preflight_words import speaks_html
from processor.delivery.kinesis.responses import classify_response

_MOST_PAGES: Final = 1_000  # of a hundred names each; an endpoint that never ends would hold the caller for ever


class Client(Protocol):
    """The part of a boto3 client that is used here."""

    def list_streams(self, **arguments: Any) -> Mapping[str, Any]:
        """Return one page of streams."""
        ...

    def put_record(self, **arguments: Any) -> Mapping[str, Any]:
        """Put one record to a stream."""
        ...

    def put_records(self, **arguments: Any) -> Mapping[str, Any]:
        """Put the records of one call."""
        ...


def list_streams(client: Client) -> Iterator[tuple[str, str]]:
    """Yield (name, status) of every stream, page by page; ACTIVE where the endpoint does not tell.

    Raises BrokenResponse. By the last name and not by a token, which some endpoints ignore: boto3's own paginator stops
    there.
    """
    after: dict[str, str] = {}
    for _ in range(_MOST_PAGES):
        page = client.list_streams(**after)
        names = page.get("StreamNames")
        if names is None:  # boto3 takes a success that is no JSON for an empty one
            raise BrokenResponse(
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
    raise BrokenResponse(f"more than {_MOST_PAGES} pages of streams: is this Kinesis?")


def find_streams(client: Client) -> tuple[dict[str, str] | None, Fault | None]:
    """Return name → status, or the fault that hides them; raise what means that there is no access at all."""
    try:
        return dict(list_streams(client)), None
    except Exception as error:
        fault = classify_response(error, 1).whole
        assert fault is not None
        is_answer = (
            fault.pause is PauseReason.ACCESS_DENIED and not is_of_sign_up(fault.code)
        ) or fault.kind is FaultKind.THROTTLED
        of_role = getattr(error, "operation_name", "ListStreams") != "ListStreams"
        if not is_answer or of_role or speaks_html(error):
            raise
        return None, fault
