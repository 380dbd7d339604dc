"""The words for a flow that is not authorized, and what to do about it. Never a stack trace, never a secret."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from email.utils import parsedate_to_datetime
from typing import Any, Final

import boto3
from botocore.exceptions import ClientError

from processor.delivery.kinesis.code_words import is_of_sign_up, words_of
from processor.delivery.kinesis.faults import Fault, FaultKind, PauseReason
from schemas.destination import Destination

CLOCK_SECONDS: Final = 240.0  # AWS refuses signatures that are 5 minutes off (General Reference, "Signature Version 4")
_XML_MESSAGE: Final = re.compile(r"<Message>(.*?)(?:</Message>|$)", re.DOTALL)
_HTML: Final = re.compile(r"<(!doctype html|html|head|body)\b", re.IGNORECASE)


def explain_fault(fault: Fault, error: Exception, destination: Destination, now: float) -> str:
    """Say why there was no access; `now` is this machine's clock (since 1970), held against the endpoint's."""
    where = destination.endpoint_url or f"Kinesis in {destination.region}"
    if fault.code in _ON_THE_WAY:
        return f"{where} is not reached: {fault}"
    if speaks_html(error):
        return f"{where} answers with a web page (HTML, status {fault.code}), not as Kinesis does"
    if fault.pause in (PauseReason.CREDENTIALS_REFUSED, PauseReason.CLOCK) and (off := _clock(error, now)) is not None:
        return f"{fault.pause}: this machine's clock is {off} the endpoint's: {fault.message or fault.code}"
    if fault.kind in (FaultKind.NOT_SENT, FaultKind.AMBIGUOUS):
        return f"no usable answer from {where}: {fault}"
    return f"{fault.pause or fault.kind}: {describe_fault(fault)}"


def describe_fault(fault: Fault) -> str:
    """Say what a response said, in words: its code's meaning, and its message; else the code."""
    said = "; ".join(text for text in (words_of(fault.code), plain(fault.message)) if text)
    return f"{said} ({fault.code})" if words_of(fault.code) else said or fault.code


def remedy_of(fault: Fault, error: Exception, destination: Destination) -> str:
    """Say what to do about a fault."""
    if fault.code in _ON_THE_WAY:
        return _ON_THE_WAY[fault.code]
    if is_of_sign_up(fault.code):
        return SIGN_UP
    if speaks_html(error):
        return "correct endpointUrl in the flow, or the proxy between here and there, and `profile-exporter apply` it"
    if fault.pause is not None and fault.pause is not PauseReason.DESTINATION_UNUSABLE:
        return _REMEDIES.get(fault.pause, "mend the flow's destination and `profile-exporter apply` it")
    if destination.endpoint_url is not None:
        return "start the endpoint, or correct endpointUrl in the flow and `profile-exporter apply` it"
    if (known := _known_regions()) and destination.region not in known:
        near = get_close_matches(destination.region, known, n=1)
        return f"boto3 knows no region {destination.region}" + (
            f"; did you mean {near[0]}?" if near else ": correct it in the flow"
        )
    return "check the region of the flow, and the way from here to AWS (network, proxy, DNS)"


def speaks_html(response: object) -> bool:
    """Return whether a response, or an error of botocore, is a web page."""
    body: Mapping[str, Any] = (
        response.response if isinstance(response, ClientError) else response if isinstance(response, dict) else {}
    )
    headers = body.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    message = str(body.get("Error", {}).get("Message", ""))
    if "Error" not in body:
        return str(headers.get("content-type", "")).startswith("text/html")
    return _HTML.search(message) is not None


def _clock(error: Exception, now: float) -> str | None:
    """Say how far this machine's clock is from the endpoint's `Date`, where that explains a refusal."""
    headers = (
        error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}) if isinstance(error, ClientError) else {}
    )
    try:
        off = now - parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return None
    return None if abs(off) < CLOCK_SECONDS else f"{abs(off) / 60:.0f} minutes {'ahead of' if off > 0 else 'behind'}"


def plain(message: str) -> str:
    """Return the words of a response in XML, which boto3 does not take apart for Kinesis."""
    found = _XML_MESSAGE.search(message)
    return found[1].strip() if found else message


def _known_regions() -> list[str]:
    session = boto3.Session()
    return [
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("kinesis", partition)
    ]


SIGN_UP: Final = (
    "finish the account's sign-up at AWS (payment, phone, activation), or name another account's credentials in the"
    " flow"
)
_ANOTHER_ADDRESS: Final = (
    "correct endpointUrl or region in the flow, or what stands between here and there, and `profile-exporter apply` it"
)
_PROXY: Final = (
    "give the proxy's login where the worker runs, HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT (HTTP_PROXY for an"
    " http:// endpoint), or name Kinesis's host in NO_PROXY"
)
_ON_THE_WAY: Final = {
    "407": _PROXY,
    **dict.fromkeys(("300", "301", "302", "303", "304", "305", "307", "308"), _ANOTHER_ADDRESS),
}
"""Statuses that something between here and Kinesis answers with, and what to do about them."""
_REMEDIES: Final = {
    PauseReason.ACCESS_DENIED: (
        "allow the flow's credentials what they are used for: kinesis:ListStreams, kinesis:PutRecord and"
        " kinesis:PutRecords; those that assume a role sts:AssumeRole"
    ),
    PauseReason.CREDENTIALS_MISSING: (
        "give the worker (and this command) the credentials that the flow's destination names"
    ),
    PauseReason.CREDENTIALS_REFUSED: (
        "correct the credentials that the flow's destination names, or this machine's clock"
    ),
    PauseReason.CLOCK: "set the clock of this machine, or of the endpoint's (NTP); signatures may be 5 minutes off",
}
