"""What an answer of PutRecords means for each of its entries (design 6.5). Pure: answer or error in, verdict out.

    throttled    too fast           resend after a backoff, fewer calls in flight; as often as it takes
    ambiguous    stored or not      resend the same bytes, before anything later of their lane; as often as it takes
    not_sent     never arrived      resend; as often as it takes
    refused      not let in         pause the destination, lose nothing, probe until the cause is gone
    rejected     never acceptable   whole call: halve it to find the culprit; one record: twice more, then a dead letter
    unknown      new to us          resend with an alarm; never dropped

What matches is `Error.Code` and the HTTP status, not the exception class: boto3 has no classes for most of them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from processor.delivery.kinesis.fence import Fenced

MAX_MESSAGE_CHARACTERS: Final = 300


class FaultKind(StrEnum):
    """What to do with a record that was not delivered; see the module."""

    THROTTLED = "throttled"
    AMBIGUOUS = "ambiguous"
    NOT_SENT = "not_sent"
    REFUSED = "refused"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class PauseReason(StrEnum):
    """Why a flow delivers nothing until somebody mends the cause (contract G4)."""

    ACCESS_DENIED = "access_denied"
    CREDENTIALS_MISSING = (  # none found, an unknown profile, a secret that is not in the environment
        "credentials_missing"
    )
    CREDENTIALS_REFUSED = "credentials_refused"  # unknown, expired, or signed wrongly (a wrong secret)
    CLOCK = "clock"  # signed at a time that is not the endpoint's: a clock is wrong, here or there
    ENCRYPTION_KEY_UNUSABLE = "encryption_key_unusable"  # the stream's KMS key
    STREAM_NOT_FOUND = "stream_not_found"
    STREAM_NOT_READY = "stream_not_ready"
    DESTINATION_UNUSABLE = "destination_unusable"  # the address is wrong, or no Kinesis answers there
    FLOW_UNKNOWN = "flow_unknown"  # not in the catalog yet
    UNREACHABLE = "unreachable"  # no call was answered for a while: nobody there, time-outs, 5xx

    @property
    def mended_by_new_credentials(self) -> bool:
        """Whether a probe must read credentials anew to see that the cause is gone."""
        return self in _MENDED_BY_NEW_CREDENTIALS


_MENDED_BY_NEW_CREDENTIALS: Final = (
    PauseReason.ACCESS_DENIED, PauseReason.CREDENTIALS_MISSING, PauseReason.CREDENTIALS_REFUSED,
    PauseReason.CLOCK,  # by which a role's credentials may have been taken for fresh
)  # fmt: skip


class DestinationUnusable(Exception):
    """A destination that cannot even be asked, as when its secret is missing; raised by `Stream.put`."""

    def __init__(self, reason: PauseReason, explanation: str) -> None:
        super().__init__(explanation)
        self.reason = reason


class BrokenAnswer(Exception):
    """A success whose body is no JSON; raised by `Stream.put`."""


KEY_PERMISSION: Final = "kms:GenerateDataKey"
"""What whoever writes to a stream must be allowed on a customer's key (contract G11; AWS Kinesis guide, "Permissions to
use KMS keys").
"""
_OF_THE_KEY: Final = f"the stream is encrypted with a customer's key, of which each writer needs {KEY_PERMISSION}, and "
_REDIRECT: Final = "a redirect, which is not followed"
_NOT_SIGNED_UP: Final = "the account is not signed up for the service, or its sign-up is not complete"
_WORDS: Final[Mapping[str, str]] = {
    "KMSAccessDeniedException": f"{_OF_THE_KEY}the flow's credentials may not use it",
    "KMSDisabledException": f"{_OF_THE_KEY}it is disabled",
    "KMSInvalidStateException": f"{_OF_THE_KEY}its state does not allow that, as before its deletion",
    "KMSNotFoundException": f"{_OF_THE_KEY}it is not there, or not for the flow's credentials",
    "KMSOptInRequired": f"{_OF_THE_KEY}its account is not signed up for KMS",
    "KMSThrottlingException": f"{_OF_THE_KEY}KMS takes fewer calls than come",
    "SubscriptionRequiredException": _NOT_SIGNED_UP,
    "SubscriptionRequired": _NOT_SIGNED_UP,
    "OptInRequired": _NOT_SIGNED_UP,
    "407": "a proxy on the way wants a login",
    **dict.fromkeys(("300", "301", "302", "303", "307", "308"), _REDIRECT),
}
"""Of codes that do not speak for themselves."""


def words_of(code: str) -> str:
    """Say what a code of an answer means; "" where it speaks for itself."""
    return _WORDS.get(code.rpartition("#")[2], "")


def is_of_sign_up(code: str) -> bool:
    """Whether a code means that the account may call nothing of the service, whatever its policies say."""
    return words_of(code) == _NOT_SIGNED_UP


class Fault(NamedTuple):
    """`code` is what the endpoint or the client called it; `pause` says why, where kind is REFUSED."""

    kind: FaultKind
    code: str
    message: str = ""
    pause: PauseReason | None = None

    def __str__(self) -> str:
        said = "; ".join(text for text in (words_of(self.code), self.message) if text)
        return f"{self.code}: {said}" if said else self.code


@dataclass(frozen=True, slots=True)
class Verdict:
    """`whole`: the fault of every entry, where the call as such failed.

    Else `faults` by index; the others are delivered.
    """

    whole: Fault | None = None
    faults: Mapping[int, Fault] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, index: int) -> Fault | None:
        """The fault of one entry; None: it is delivered."""
        return self.whole or self.faults.get(index)


DELIVERED: Final = Verdict()

_THROTTLED: Final = frozenset({
    "ProvisionedThroughputExceededException", "ThrottlingException", "Throttling", "ThrottledException", "RequestThrottled",
    "RequestThrottledException", "TooManyRequestsException", "RequestLimitExceeded", "LimitExceededException",
    "BandwidthLimitExceeded", "SlowDown", "KMSThrottlingException", "429",
})  # fmt: skip
_AMBIGUOUS: Final = frozenset({
    "InternalFailure", "InternalFailureException", "InternalServerError", "InternalServerException", "InternalError",
    "ServiceUnavailable", "ServiceUnavailableException", "RequestTimeout", "RequestTimeoutException", "408",
})  # fmt: skip
_REJECTED: Final = frozenset({
    "InvalidArgumentException", "ValidationException", "ValidationError", "SerializationException", "InvalidParameterValue",
    "RequestEntityTooLarge", "RequestEntityTooLargeException", "RequestTooLargeException", "413",
})  # fmt: skip
_REFUSED: Final = {
    PauseReason.ACCESS_DENIED: {
        "AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "NotAuthorized", "AuthorizationError", "OptInRequired",
        "SubscriptionRequiredException", "SubscriptionRequired", "401", "403",
    },
    PauseReason.CREDENTIALS_REFUSED: {
        "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidSignatureException", "SignatureDoesNotMatch",
        "IncompleteSignature", "IncompleteSignatureException", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
        "ExpiredToken", "ExpiredTokenException", "AuthFailure",
    },
    PauseReason.CLOCK: {"RequestExpired", "RequestTimeTooSkewed"},
    PauseReason.ENCRYPTION_KEY_UNUSABLE: {
        "KMSAccessDeniedException", "KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException", "KMSOptInRequired",
    },
    PauseReason.STREAM_NOT_FOUND: {"ResourceNotFoundException"},
    PauseReason.STREAM_NOT_READY: {"ResourceInUseException"},
    PauseReason.DESTINATION_UNUSABLE: {"UnknownOperationException", "404", "407"},
}  # fmt: skip
_PAUSE: Final = {code: reason for reason, codes in _REFUSED.items() for code in codes}
_TUNNEL_REFUSED: Final = re.compile(
    r"Tunnel connection failed: (?!408|429)(4[0-9]{2})"
)  # http.client: the proxy does not let us through
_OF_THE_CLOCK: Final = re.compile(
    r"Signature\s+(expired|not\s+yet\s+current)"
)  # as AWS says it (aws-sdk-go, issue 2194; aws-sdk-js, issue 254)

_NO_CREDENTIALS: Final = (
    boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError, boto.MetadataRetrievalError, boto.ProfileNotFound,
    boto.ConfigNotFound, boto.ConfigParseError, boto.InvalidConfigError, boto.NoAuthTokenError, boto.TokenRetrievalError, boto.SSOError,
    boto.LoginError, boto.UnknownCredentialError, boto.RefreshWithMFAUnsupportedError,
)  # fmt: skip
_NOT_SENT: Final = (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError, Fenced)
_UNUSABLE: Final = (
    boto.BaseEndpointResolverError, boto.EndpointProviderError, boto.InvalidEndpointConfigurationError, boto.InvalidRegionError,
    boto.UnknownRegionError,
)  # fmt: skip
_UNKNOWN_WHETHER_STORED: Final = (
    boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError, ResponseParserError, BrokenAnswer, OSError,
)  # fmt: skip


def judge(outcome: object, count: int) -> Verdict:
    """The verdict on a call of `count` entries that returned, or raised, `outcome`."""
    if isinstance(outcome, Exception):
        return Verdict(whole=_fault_of_error(outcome))
    records = outcome.get("Records") if isinstance(outcome, dict) else None
    if not isinstance(records, list) or len(records) != count:
        return Verdict(
            whole=Fault(FaultKind.AMBIGUOUS, "BrokenAnswer", f"a success that does not answer for its {count} records")
        )
    faults = {index: _fault_of_entry(entry) for index, entry in enumerate(records) if not _is_delivered(entry)}
    return Verdict(faults=faults) if faults else DELIVERED


def _is_delivered(entry: Any) -> bool:
    return type(entry) is dict and entry.get("ErrorCode") is None and bool(entry.get("SequenceNumber"))


def _fault_of_entry(entry: object) -> Fault:
    if not isinstance(entry, dict) or not entry.get("ErrorCode"):
        return Fault(FaultKind.AMBIGUOUS, "BrokenAnswer", "neither a sequence number nor an error")
    return _fault_of_code(str(entry["ErrorCode"]), _cut(entry.get("ErrorMessage")), status=None)


def _fault_of_error(error: Exception) -> Fault:
    name, message = type(error).__name__, _cut(error)
    if isinstance(error, boto.ClientError):
        return _fault_of_answer(error.response)
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


def _fault_of_answer(answer: Mapping[str, Any]) -> Fault:
    """An answer is a redirect, which nobody follows: a signature holds for one host; or an error."""
    about, said = answer.get("ResponseMetadata", {}), answer.get("Error", {})
    status = about.get("HTTPStatusCode")
    if status is not None and 300 <= status < 400:
        to = about.get("HTTPHeaders", {}).get("location")
        return Fault(FaultKind.REFUSED, str(status), _cut(to and f"to {to}"), PauseReason.DESTINATION_UNUSABLE)
    return _fault_of_code(str(said.get("Code") or status), _cut(said.get("Message")), status)


def _fault_of_code(code: str, message: str, status: int | None) -> Fault:
    """By the code where we know it, else by the HTTP status."""
    for name in (code.rpartition("#")[2], str(status)):
        if name in _PAUSE:
            return Fault(FaultKind.REFUSED, code, message, _pause_of(name, message))
        for kind, codes in (
            (FaultKind.THROTTLED, _THROTTLED),
            (FaultKind.AMBIGUOUS, _AMBIGUOUS),
            (FaultKind.REJECTED, _REJECTED),
        ):
            if name in codes:
                return Fault(kind, code, message)
    is_server_fault = status is not None and status >= 500
    return Fault(FaultKind.AMBIGUOUS if is_server_fault else FaultKind.UNKNOWN, code, message)


def _pause_of(name: str, message: str) -> PauseReason:
    """By the code, and where that is not enough by what is said."""
    if _OF_THE_CLOCK.match(message):
        return PauseReason.CLOCK
    pause = _PAUSE[name]
    return (
        PauseReason.ENCRYPTION_KEY_UNUSABLE
        if pause is PauseReason.ACCESS_DENIED and KEY_PERMISSION in message
        else pause
    )


def _cut(text: object) -> str:
    return "" if text is None else str(text)[:MAX_MESSAGE_CHARACTERS]
