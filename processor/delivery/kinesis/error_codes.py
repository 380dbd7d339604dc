"""The codes that AWS, and proxies before it, respond with, and which kind of fault each of them is. Pure.

What matches is `Error.Code` and the HTTP status, not the exception class: boto3 has no classes for most of them.
"""

import re
from typing import Final

from processor.delivery.kinesis.code_words import KEY_PERMISSION
from processor.delivery.kinesis.faults import Fault, FaultKind, PauseReason

_THROTTLED: Final = frozenset({
    "ProvisionedThroughputExceededException", "ThrottlingException", "Throttling", "ThrottledException",
    "RequestThrottled", "RequestThrottledException", "TooManyRequestsException", "RequestLimitExceeded",
    "LimitExceededException", "BandwidthLimitExceeded", "SlowDown", "KMSThrottlingException", "429",
})  # fmt: skip
_AMBIGUOUS: Final = frozenset({
    "InternalFailure", "InternalFailureException", "InternalServerError", "InternalServerException", "InternalError",
    "ServiceUnavailable", "ServiceUnavailableException", "RequestTimeout", "RequestTimeoutException", "408",
})  # fmt: skip
_REJECTED: Final = frozenset({
    "InvalidArgumentException", "ValidationException", "ValidationError", "SerializationException",
    "InvalidParameterValue", "RequestEntityTooLarge", "RequestEntityTooLargeException", "RequestTooLargeException",
    "413",
})  # fmt: skip
_REFUSED: Final = {
    PauseReason.ACCESS_DENIED: {
        "AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "NotAuthorized", "AuthorizationError",
        "OptInRequired", "SubscriptionRequiredException", "SubscriptionRequired", "401", "403",
    },
    PauseReason.CREDENTIALS_REFUSED: {
        "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidSignatureException",
        "SignatureDoesNotMatch", "IncompleteSignature", "IncompleteSignatureException", "MissingAuthenticationToken",
        "MissingAuthenticationTokenException", "ExpiredToken", "ExpiredTokenException", "AuthFailure",
    },
    PauseReason.CLOCK: {"RequestExpired", "RequestTimeTooSkewed"},
    PauseReason.ENCRYPTION_KEY_UNUSABLE: {
        "KMSAccessDeniedException", "KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException",
        "KMSOptInRequired",
    },
    PauseReason.STREAM_NOT_FOUND: {"ResourceNotFoundException"},
    PauseReason.STREAM_NOT_READY: {"ResourceInUseException"},
    PauseReason.DESTINATION_UNUSABLE: {"UnknownOperationException", "404", "407"},
}  # fmt: skip
_PAUSE: Final = {code: reason for reason, codes in _REFUSED.items() for code in codes}
_OF_THE_CLOCK: Final = re.compile(
    r"Signature\s+(expired|not\s+yet\s+current)"
)  # as AWS says it (aws-sdk-go, issue 2194; aws-sdk-js, issue 254)


def classify_code(code: str, message: str, status: int | None) -> Fault:
    """Return the fault that a code means, by the code where we know it, else by the HTTP status."""
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
    """Return why to pause, by the code, and where that is not enough by what is said."""
    if _OF_THE_CLOCK.match(message):
        return PauseReason.CLOCK
    pause = _PAUSE[name]
    return (
        PauseReason.ENCRYPTION_KEY_UNUSABLE
        if pause is PauseReason.ACCESS_DENIED and KEY_PERMISSION in message
        else pause
    )
