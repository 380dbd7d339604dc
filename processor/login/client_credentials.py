"""Tokens of an OAuth 2.0 endpoint, by client id and secret (RFC 6749, section 4.4).

The client is named in the header (HTTP Basic) first, as every server must take it, and in the form where that is
refused, since some take it only there (section 2.3.1); what was taken is tried first the next time. Redirects are not
followed: the secret is for this address.
"""

import json
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPException
from math import isfinite
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote_plus, urlencode
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, build_opener

from processor.foundation.login_fields import is_plain_http
from processor.login.jwt import end_of
from processor.login.token import Token, TokenUnavailable, a_token

ANSWER_SECONDS: Final = 8.0
"""Less than librdkafka's client waits for its first token (10 s)."""
UNSAID_SECONDS: Final = 300.0
"""How long a token holds whose end nobody says."""
_MOST_BYTES: Final = 1024 * 1024
_PIECE_BYTES: Final = 64 * 1024
_MOST_SHOWN: Final = 200
_MASK: Final = "**********"
_REFUSED: Final = frozenset({400, 401})
_SETTINGS: Final = "PROFILE_EXPORTER_KAFKA_OAUTH_"


class ClientCredentials:
    """One client of one endpoint.

    `tls`: how the endpoint's certificate is judged, None where it is asked without TLS.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        secret: str,
        *,
        scope: str | None = None,
        tls: ssl.SSLContext | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._url, self._client_id, self._secret, self._scope, self._seconds = url, client_id, secret, scope, seconds
        self._name = f"the token endpoint {url.partition('?')[0]}"
        self._opener = _opener(url, tls)
        self._ways: list[Callable[[dict[str, str]], Request]] = [self._in_header, self._in_form]

    def fetch(self) -> Token:
        """Ask for a token; block for twice ANSWER_SECONDS at most. Raises TokenUnavailable."""
        form = {"grant_type": "client_credentials"} | ({} if self._scope is None else {"scope": self._scope})
        began = time.monotonic()
        refused: TokenUnavailable | None = None
        for way in tuple(self._ways):
            try:
                answer = self._answer(way(form))
            except HTTPError as error:
                with error:
                    unavailable = self._refusal(error)
                if error.code not in _REFUSED:
                    raise unavailable from None
                refused = refused or unavailable
            else:
                self._ways.sort(key=lambda each: each != way)
                return self._token(answer, time.monotonic() - began)
        assert refused is not None
        raise refused from None

    def _in_header(self, form: dict[str, str]) -> Request:
        named = f"{quote_plus(self._client_id)}:{quote_plus(self._secret)}"
        return self._request(form, {"Authorization": f"Basic {b64encode(named.encode()).decode()}"})

    def _in_form(self, form: dict[str, str]) -> Request:
        return self._request(form | {"client_id": self._client_id, "client_secret": self._secret}, {})

    def _request(self, form: dict[str, str], headers: dict[str, str]) -> Request:
        kept = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        return Request(self._url, urlencode(form).encode(), kept | headers, method="POST")  # noqa: S310  # the settings take https, or loopback

    def _answer(self, request: Request) -> bytes:
        """Give the body of an answer of success; raise HTTPError, TokenUnavailable."""
        try:
            with self._opener.open(request, timeout=self._seconds) as answer:
                return _body(answer, time.monotonic() + self._seconds)
        except HTTPError:
            raise
        except (OSError, HTTPException) as error:  # URLError is one
            raise self._unreachable(error) from None

    def _token(self, body: bytes, took_seconds: float) -> Token:
        answer = _json(body)
        if answer is None or not isinstance(text := answer.get("access_token"), str):
            what = "no JSON object" if answer is None else "a JSON object without access_token"
            raise TokenUnavailable(
                f"{self._name} answers with {what}",
                f"is {_SETTINGS}TOKEN_URL the endpoint itself, and no page of the server?",
            )
        if isinstance(kind := answer.get("token_type"), str) and kind.lower() != "bearer":
            raise TokenUnavailable(
                f"{self._name} gives a token of the type {self._shown(kind)}, not Bearer",
                "have the server make bearer tokens",
            )
        try:
            return a_token(text, _life(answer, text) - took_seconds)
        except ValueError as error:
            raise TokenUnavailable(
                f"{self._name} gives a token that cannot be used: {error}",
                "look at the lifetime that the server gives tokens",
            ) from None

    def _refusal(self, error: HTTPError) -> TokenUnavailable:
        try:
            answer = _json(error.read(_MOST_BYTES)) or {}
        except (OSError, HTTPException):
            answer = {}
        said = ": ".join(
            self._shown(answer[name]) for name in ("error", "error_description") if isinstance(answer.get(name), str)
        )
        what = f"{self._name} answers {error.code}{f' ({said})' if said else ''}"
        if error.code in _REFUSED or error.code == 403:
            return TokenUnavailable(
                what, f"set {_SETTINGS}CLIENT_ID, …CLIENT_SECRET and …SCOPE as the server knows this client"
            )
        if 300 <= error.code < 400:
            return TokenUnavailable(
                what, f"set {_SETTINGS}TOKEN_URL to where it sends us: a secret follows no redirect"
            )
        return TokenUnavailable(what, f"look at that server, and at {_SETTINGS}TOKEN_URL; it is asked again")

    def _unreachable(self, error: Exception) -> TokenUnavailable:
        reason = error.reason if isinstance(error, URLError) else error
        what = f"{self._name} is not reachable: {self._shown(str(reason) or type(reason).__name__)}"
        if isinstance(reason, ssl.SSLCertVerificationError):
            return TokenUnavailable(what, f"name the authority that vouches for it with {_SETTINGS}CA_FILE")
        return TokenUnavailable(what, f"look at that server, the network and {_SETTINGS}TOKEN_URL; it is asked again")

    def _shown(self, text: str) -> str:
        """Return the text of a server in short, without control characters and without what it was sent."""
        plain = "".join(each if each.isprintable() else " " for each in text)
        for secret in (self._secret, quote_plus(self._secret)):
            plain = plain.replace(secret, _MASK)
        return plain[:_MOST_SHOWN]


def tls_of(url: str, authorities: Path | None) -> ssl.SSLContext | None:
    """Return how the certificate of the endpoint is judged, None without TLS.

    Raises OSError, ssl.SSLError for a file that cannot be read.
    """
    if is_plain_http(url):
        return None
    return ssl.create_default_context(cafile=None if authorities is None else str(authorities))


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none: it is an HTTPError then."""


def _opener(url: str, tls: ssl.SSLContext | None) -> OpenerDirector:
    """By the proxy of the environment where there is TLS; what is on this machine goes to no proxy."""
    handlers: list[Any] = [_NoRedirects, *([ProxyHandler({})] if is_plain_http(url) else [HTTPSHandler(context=tls)])]
    return build_opener(*handlers)


def _body(answer: Any, deadline: float) -> bytes:
    """Raise TimeoutError for one that never ends: the client's time-out is between two pieces."""
    body = b""
    while len(body) < _MOST_BYTES and (piece := answer.read1(_PIECE_BYTES)):
        body += piece
        if time.monotonic() > deadline:
            raise TimeoutError("its answer takes too long")
    return body


def _json(body: bytes) -> Mapping[str, Any] | None:
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _life(answer: Mapping[str, Any], token: str) -> float:
    """Seconds: what the endpoint says (some say it as text), else what the token says, else UNSAID_SECONDS."""
    said = answer.get("expires_in")
    if isinstance(said, int | float | str) and not isinstance(said, bool):
        with suppress(ValueError, OverflowError):
            if isfinite(seconds := float(said)):
                return seconds
    end = end_of(token)
    return UNSAID_SECONDS if end is None else end - time.time()
