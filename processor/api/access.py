"""Access by tokens, compared in constant time, with roles, and a pause for whoever shows wrong tokens repeatedly.

    no token            everybody who reaches it, which is this machine only (serve.py)
    API_TOKEN           one token, for reading and writing
    API_TOKENS_FILE     many: a YAML list of {name, sha256, role}; the file holds hashes, no tokens

A token is looked at before anything is counted: behind a proxy all callers have one address, and wrong tokens of one
must not keep out the others. So the pause is no protection of a token that can be guessed; its length is (`openssl rand
-hex 32`).
"""

import hmac
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import structlog
import yaml
from pydantic import Field, TypeAdapter, ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from processor.api.errors import ApiError, Code, error_response
from processor.foundation.errors import UsageError
from processor.foundation.settings import Settings
from processor.foundation.settings_environment import env_name
from schemas.model import Model, Name
from schemas.wire.audit_events import Author

_MINUTE_SECONDS: Final = 60.0
_MOST_ADDRESSES: Final = 10_000
_SAFE_CHARACTERS: Final = 20
NOBODY: Final = "anonymous"
_log = structlog.get_logger(__name__)


class Role(StrEnum):
    """The role of a token: what its owner may do."""

    READ = "read"
    WRITE = "write"


class Token(Model):
    """A token of the file; `sha256` is of the token, in hex."""

    name: Name
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    role: Annotated[Role, Field(strict=False)] = Role.WRITE


class Caller(NamedTuple):
    """A caller of the API, and the role of the token."""

    name: str
    role: Role

    @property
    def author(self) -> Author:
        """Return the author as audit events name the caller."""
        return Author(self.name, "api")


class Access:
    """The access by these tokens; `clock` gives seconds that only go forward."""

    def __init__(
        self, tokens: Sequence[Token], failures_per_minute: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tokens = tuple(tokens)
        self._most = failures_per_minute
        self._clock = clock
        self._refusals: dict[str, deque[float]] = {}  # the last ones of an address
        self._counting = threading.Lock()  # calls may come in several threads

    @property
    def is_open(self) -> bool:
        """Return whether no token is wanted."""
        return not self._tokens

    def caller(self, authorization: str | None, address: str) -> Caller:
        """Return who shows this header; raise ApiError for a wrong token, whose owner is counted and has to wait."""
        if self.is_open:
            return Caller(NOBODY, Role.WRITE)
        scheme, _, shown = (authorization or "").partition(" ")
        digest = sha256(shown.strip().encode(errors="replace")).hexdigest()
        # all of them are compared, whichever fits
        found = [token for token in self._tokens if hmac.compare_digest(token.sha256, digest)]
        if scheme.lower() == "bearer" and found:
            return Caller(found[0].name, found[0].role)
        if self._is_too_much(address):
            raise ApiError(
                Code.TOO_MANY_FAILURES,
                f"{self._most} tokens were refused within a minute: wait for a minute, or show the right one",
            )
        raise ApiError(
            Code.UNAUTHORIZED, "the header Authorization: Bearer <token> is missing, or its token is none of ours"
        )

    def _is_too_much(self, address: str) -> bool:
        """Count a refusal; return whether as many as may be within a minute came before it."""
        now = self._clock()
        with self._counting:
            refusals = self._refusals.setdefault(address, deque(maxlen=self._most))
            is_too_much = len(refusals) == self._most and refusals[0] > now - _MINUTE_SECONDS
            if not is_too_much:
                refusals.append(now)
                if len(refusals) == self._most and refusals[0] > now - _MINUTE_SECONDS:
                    _log.warning("tokens_refused", address=address, tokens=self._most, seconds=_MINUTE_SECONDS)
            if len(self._refusals) > _MOST_ADDRESSES:
                self._refusals.pop(next(iter(self._refusals)))
        return is_too_much


class RequireToken:
    """Middleware that serves nothing but health to whoever shows no token, and reads nothing of the request.

    It puts the caller into the request's state.
    """

    def __init__(self, app: ASGIApp, access: Callable[[], Access], open_paths: Collection[str]) -> None:
        self._app = app
        self._access = access
        self._open_paths = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, as ASGI calls it."""
        if scope["type"] == "http" and scope["path"] not in self._open_paths:
            authorization = dict(scope["headers"]).get(b"authorization")
            address = scope["client"][0] if scope.get("client") else ""
            try:
                caller = self._access().caller(
                    None if authorization is None else authorization.decode("latin-1"), address
                )
            except ApiError as error:
                await error_response(error)(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)


def require_write(caller: Caller) -> None:
    """Raise ApiError for one who may only read."""
    if caller.role is not Role.WRITE:
        raise ApiError(Code.FORBIDDEN, f"the token {caller.name} is for reading only")


def read_access(settings: Settings) -> Access:
    """Return the access by the settings; raise UsageError.

    A token that could be guessed is warned of: the right one is never made to wait.
    """
    if settings.api_token is not None and len(settings.api_token.get_secret_value()) < _SAFE_CHARACTERS:
        _log.warning(
            "token_can_be_guessed",
            setting=env_name("api_token"),
            least_characters=_SAFE_CHARACTERS,
            remedy="openssl rand -hex 32",
        )
    return Access(_tokens(settings), settings.api_max_failures_per_minute)


def _tokens(settings: Settings) -> Sequence[Token]:
    if settings.api_token is not None:
        return [
            Token(
                name="API_TOKEN",
                sha256=sha256(settings.api_token.get_secret_value().encode()).hexdigest(),
                role=Role.WRITE,
            )
        ]
    if settings.api_tokens_file is None:
        return []
    return read_tokens(settings.api_tokens_file)


def read_tokens(path: Path) -> Sequence[Token]:
    """Read the tokens of a file; raise UsageError with every fault."""
    where = f"{env_name('api_tokens_file')}: {path}"
    try:
        tokens = TypeAdapter(list[Token]).validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise UsageError(f"{where}: cannot be read as YAML") from None
    except ValidationError as error:
        faults = [
            f"  [{'.'.join(map(str, fault['loc']))}]: {fault['msg']}" for fault in error.errors(include_input=False)
        ]
        what = "a list of name, sha256 (64 hex digits of the token's SHA-256), role (read or write)"
        raise UsageError("\n".join([f"{where}: {what}", *faults])) from None
    if not tokens:
        raise UsageError(f"{where}: there is no token in it")
    names = [token.name for token in tokens]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"{where}: the same name twice: {', '.join(doubled)}")
    return tokens
