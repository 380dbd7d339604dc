"""A provider of our tokens as aiokafka takes it: asked at each connection that it makes.

aiokafka does not log in again on a connection that stands. A broker that wants it (`connections.max.reauth.ms`) closes
the connection at the end of the session, when the next request comes, without doing that one; aiokafka connects anew,
with the token of then, and sends it again: what is produced carries sequence numbers (an idempotent producer), what is
read is asked for again.
"""

import asyncio
from typing import Final

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError

from processor.foundation.login_fields import extensions_of
from processor.foundation.settings import Settings
from processor.login.of_settings import tokens_of
from processor.login.renewal import WAIT_SECONDS, Tokens
from processor.login.token import TokenUnavailable

PAUSE_SECONDS: Final = 0.5
"""Before a connection without a token is given up: aiokafka would knock again ten times a second."""


class NoToken(KafkaConnectionError):  # type: ignore[misc]  # aiokafka has no type information
    """No token is there; to aiokafka it is a connection that cannot be made, which is tried again."""


class TokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka has no type information
    """A provider shared by all clients of a process, in whichever event loop."""

    def __init__(self, tokens: Tokens, extensions: dict[str, str]) -> None:
        self._tokens, self._extensions = tokens, extensions

    async def token(self) -> str:
        """Return a token that holds; raises NoToken."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                held = await asyncio.shield(asyncio.wrap_future(self._tokens.ask()))
        except TokenUnavailable as unavailable:
            await asyncio.sleep(PAUSE_SECONDS)
            raise NoToken(f"no token to log in with: {unavailable.what}") from None
        except TimeoutError:
            raise NoToken(f"no token to log in with: none came within {WAIT_SECONDS:.0f} s") from None
        return held.text

    def extensions(self) -> dict[str, str]:
        """Return what Kafka wants beside the token."""
        return self._extensions


def token_provider(settings: Settings) -> TokenProvider:
    """Make the provider of settings with a token login; asks nobody yet.

    Raises UsageError for a file of authorities that cannot be read.
    """
    return TokenProvider(tokens_of(settings), dict(extensions_of(settings.kafka_oauth_extensions)))
