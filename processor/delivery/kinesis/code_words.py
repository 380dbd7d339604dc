"""The meaning of codes of responses that do not speak for themselves, in words."""

from collections.abc import Mapping
from typing import Final

KEY_PERMISSION: Final = "kms:GenerateDataKey"
"""The permission that whoever writes to a stream must have on a customer's key (G11; AWS Kinesis guide, "Permissions to
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
"""The meaning of codes that do not speak for themselves."""


def words_of(code: str) -> str:
    """Say what a code of a response means; "" where it speaks for itself. Home of G11."""
    return _WORDS.get(code.rpartition("#")[2], "")


def is_of_sign_up(code: str) -> bool:
    """Return whether a code means that the account may call nothing of the service, whatever its policies say."""
    return words_of(code) == _NOT_SIGNED_UP
