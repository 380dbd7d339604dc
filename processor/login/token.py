"""A token, and why there is none."""

import re
from dataclasses import dataclass, field
from typing import Final, Protocol

LEAST_SECONDS: Final = 1.0
RENEWED_AT: Final = 0.75
"""The share of its life after which a token is made anew: before librdkafka asks for the next one, at 0.8 of what it
was told.
"""
_SENDABLE: Final = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it came: how many seconds it holds from now, and after how many the next one is to be made."""

    text: str = field(repr=False)
    life_seconds: float
    renew_seconds: float


class TokenUnavailable(Exception):
    """An error that says why there is no token.

    `what` says why, `remedy` what to do; no token and no secret is in either.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy


class TokenSource(Protocol):
    """A source that tokens come from."""

    def fetch(self) -> Token:
        """Make or read one; block for some seconds at most. Raises TokenUnavailable."""
        ...


def a_token(text: str, life_seconds: float, renew_seconds: float | None = None) -> Token:
    """Hold what came to be a token that can be sent and has not ended; raise ValueError, which does not show it."""
    if _SENDABLE.fullmatch(text) is None:
        raise ValueError("it is empty, or holds blanks, line breaks or letters beyond ASCII, which no token has")
    if life_seconds < LEAST_SECONDS:
        raise ValueError("it has ended when it comes: is this machine's clock wrong?")
    return Token(text, life_seconds, RENEWED_AT * life_seconds if renew_seconds is None else renew_seconds)
