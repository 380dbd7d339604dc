"""The meaning of a response of PutRecords for each of its entries. Pure: response or error in, classification out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from processor.delivery.kinesis.error_codes import classify_code
from processor.delivery.kinesis.faults import BrokenResponse, DestinationUnusable, Fault, FaultKind, PauseReason
from processor.delivery.kinesis.fence import Fenced

MAX_MESSAGE_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class Classification:
    """The outcome of a call, entry by entry.

    `whole`: the fault of every entry, where the call as such failed; else `faults` by index, the others are delivered.
    """

    whole: Fault | None = None
    faults: Mapping[int, Fault] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, index: int) -> Fault | None:
        """Return the fault of one entry; None: it is delivered."""
        return self.whole or self.faults.get(index)


DELIVERED: Final = Classification()

_TUNNEL_REFUSED: Final = re.compile(
    r"Tunnel connection failed: (?!408|429)(4[0-9]{2})"
)  # as http.client says it: the proxy refuses us
_NO_CREDENTIALS: Final = (
    boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError,
    boto.MetadataRetrievalError, boto.ProfileNotFound, boto.ConfigNotFound, boto.ConfigParseError,
    boto.InvalidConfigError, boto.NoAuthTokenError, boto.TokenRetrievalError, boto.SSOError, boto.LoginError,
    boto.UnknownCredentialError, boto.RefreshWithMFAUnsupportedError,
)  # fmt: skip
_NOT_SENT: Final = (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError, Fenced)
_UNUSABLE: Final = (
    boto.BaseEndpointResolverError, boto.EndpointProviderError, boto.InvalidEndpointConfigurationError,
    boto.InvalidRegionError, boto.UnknownRegionError,
)  # fmt: skip
_UNKNOWN_WHETHER_STORED: Final = (
    boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError, ResponseParserError, BrokenResponse, OSError,
)  # fmt: skip


def classify_response(response: object, count: int) -> Classification:
    """Classify the response of a call of `count` entries, or the error that it raised. Home of G4."""
    if isinstance(response, Exception):
        return Classification(whole=_fault_of_error(response))
    records = response.get("Records") if isinstance(response, dict) else None
    if not isinstance(records, list) or len(records) != count:
        return Classification(
            whole=Fault(
                FaultKind.AMBIGUOUS, "BrokenResponse", f"a success that does not answer for its {count} records"
            )
        )
    faults = {index: _fault_of_entry(entry) for index, entry in enumerate(records) if not _is_delivered(entry)}
    return Classification(faults=faults) if faults else DELIVERED


def _is_delivered(entry: Any) -> bool:
    return type(entry) is dict and entry.get("ErrorCode") is None and bool(entry.get("SequenceNumber"))


def _fault_of_entry(entry: object) -> Fault:
    if not isinstance(entry, dict) or not entry.get("ErrorCode"):
        return Fault(FaultKind.AMBIGUOUS, "BrokenResponse", "neither a sequence number nor an error")
    return classify_code(str(entry["ErrorCode"]), _cut(entry.get("ErrorMessage")), status=None)


def _fault_of_error(error: Exception) -> Fault:
    name, message = type(error).__name__, _cut(error)
    if isinstance(error, boto.ClientError):
        return _fault_of_response(error.response)
    if isinstance(error, DestinationUnusable):
        return Fault(FaultKind.REFUSED, name, message, error.reason)
    if isinstance(error, _NO_CREDENTIALS):
        return Fault(FaultKind.REFUSED, name, message, PauseReason.CREDENTIALS_MISSING)
    if isinstance(error, _UNUSABLE):
        return Fault(FaultKind.REFUSED, name, message, PauseReason.DESTINATION_UNUSABLE)
    if (
        isinstance(error, boto.ProxyConnectionError)
        and (refused := _TUNNEL_REFUSED.search(str(error.kwargs.get("error")))) is not None
    ):
        return Fault(FaultKind.REFUSED, refused[1], message, PauseReason.DESTINATION_UNUSABLE)
    if isinstance(error, _NOT_SENT):
        return Fault(FaultKind.NOT_SENT, name, message)
    return Fault(
        FaultKind.AMBIGUOUS if isinstance(error, _UNKNOWN_WHETHER_STORED) else FaultKind.UNKNOWN, name, message
    )


def _fault_of_response(response: Mapping[str, Any]) -> Fault:
    """Return the fault of a redirect, which nobody follows, as a signature holds for one host, or of an error."""
    about, said = response.get("ResponseMetadata", {}), response.get("Error", {})
    status = about.get("HTTPStatusCode")
    if status is not None and 300 <= status < 400:
        to = about.get("HTTPHeaders", {}).get("location")
        return Fault(FaultKind.REFUSED, str(status), _cut(to and f"to {to}"), PauseReason.DESTINATION_UNUSABLE)
    return classify_code(str(said.get("Code") or status), _cut(said.get("Message")), status)


def _cut(text: object) -> str:
    return "" if text is None else str(text)[:MAX_MESSAGE_CHARACTERS]
