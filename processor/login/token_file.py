"""Read the file with a token that somebody else renews, as a sidecar or Kubernetes does.

Kubernetes calls it a projected service account token.
"""

import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Final

from processor.login.jwt import end_of
from processor.login.token import LEAST_SECONDS, RENEWED_AT, Token, TokenUnavailable, a_token

REREAD_SECONDS: Final = 30.0
_MOST_BYTES: Final = 1024 * 1024


class TokenFile:
    """The file, read again every half a minute, and sooner where its token ends sooner.

    A token that is no JWT is taken to hold for ever.
    """

    def __init__(self, path: Path, wall_clock: Callable[[], float] = time.time) -> None:
        self._path, self._wall_clock = path, wall_clock

    def fetch(self) -> Token:
        """Read it. Raises TokenUnavailable."""
        text = self._content()
        end = end_of(text)
        life = inf if end is None else end - self._wall_clock()
        if life < LEAST_SECONDS:
            raise self._unavailable(f"its token ended {-life:.0f} s ago" if life < 0 else "its token is about to end")
        try:
            return a_token(text, life, min(REREAD_SECONDS, RENEWED_AT * life))
        except ValueError as error:
            raise TokenUnavailable(
                f"the token in {self._path} cannot be sent: {error}",
                "put only the token into it: no JSON, no word Bearer before it",
            ) from None

    def _content(self) -> str:
        try:
            with self._path.open("rb") as file:
                return file.read(_MOST_BYTES).decode("ascii").strip()
        except OSError as error:
            raise self._unavailable(f"it cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise self._unavailable("it is not ASCII") from None

    def _unavailable(self, why: str) -> TokenUnavailable:
        return TokenUnavailable(
            f"the token file {self._path}: {why}",
            "look at whoever writes it: a sidecar, or the mount of a projected token",
        )
