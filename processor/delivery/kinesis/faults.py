"""Faults that keep records from being delivered, their kinds, and reasons to pause.

throttled    too fast           resend after a backoff, fewer calls in flight; as often as it takes
ambiguous    stored or not      resend the same bytes, before anything later of their lane; as often as it takes
not_sent     never arrived      resend; as often as it takes
refused      not authorized     pause the destination, lose nothing, probe until the cause is gone
rejected     never acceptable   whole call: halve it to find the culprit; one record: twice more, then a dead letter
unknown      new to us          resend with an alarm; never dropped
"""

from enum import StrEnum
from typing import Final, NamedTuple

from processor.delivery.kinesis.code_words import words_of


class FaultKind(StrEnum):
    """A kind of fault, and so what to do with the record; see the module."""

    THROTTLED = "throttled"
    AMBIGUOUS = "ambiguous"
    NOT_SENT = "not_sent"
    REFUSED = "refused"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class PauseReason(StrEnum):
    """A reason why a flow delivers nothing until somebody mends the cause (G4)."""

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
        """Return whether a probe must read credentials anew to see that the cause is gone."""
        return self in _MENDED_BY_NEW_CREDENTIALS


_MENDED_BY_NEW_CREDENTIALS: Final = (
    PauseReason.ACCESS_DENIED, PauseReason.CREDENTIALS_MISSING, PauseReason.CREDENTIALS_REFUSED,
    PauseReason.CLOCK,  # by which a role's credentials may have been taken for fresh
)  # fmt: skip


class Fault(NamedTuple):
    """A fault of a record, or of a whole call.

    `code` is what the endpoint or the client called it; `pause` says why, where kind is REFUSED.
    """

    kind: FaultKind
    code: str
    message: str = ""
    pause: PauseReason | None = None

    def __str__(self) -> str:
        said = "; ".join(text for text in (words_of(self.code), self.message) if text)
        return f"{self.code}: {said}" if said else self.code


class DestinationUnusable(Exception):
    """A destination that cannot even be asked, as when its secret is missing; raised by `Stream.put`."""

    def __init__(self, reason: PauseReason, explanation: str) -> None:
        super().__init__(explanation)
        self.reason = reason


class BrokenResponse(Exception):
    """A success whose body is no JSON; raised by `Stream.put`."""
