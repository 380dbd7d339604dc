"""A server of tokens on loopback, with a key of its own, and what makes a broker take its tokens.

with TokenServer() as server, RealKafka(listeners={"TOKENS": "SASL_PLAINTEXT"}, **server.broker(folder)) as kafka:
    ...                        # tokens of server.life_seconds; server.requests: what was asked
"""

import json
import ssl
import threading
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qs, unquote_plus
from uuid import uuid4

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.kit.certificates import certificate
from tests.kit.kafka import SMALL_JVM

CLIENT_ID: Final = "exporter:7"
SECRET: Final = "s3cret +/%:é"  # what form encoding changes
ISSUER: Final = "https://tokens.example"
AUDIENCE: Final = "kafka"
_KEY_ID: Final = "k1"
_MODULE: Final = "org.apache.kafka.common.security.oauthbearer"


@dataclass(frozen=True)
class TokenRequest:
    """A request that the server was asked."""

    path: str
    headers: Mapping[str, str]
    form: Mapping[str, str]

    @property
    def client(self) -> tuple[str, str] | None:
        """Id and secret of the header, decoded as RFC 6749, 2.3.1 has it."""
        scheme, _, encoded = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic":
            return None
        name, _, secret = b64decode(encoded).decode().partition(":")
        return unquote_plus(name), unquote_plus(secret)


Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


def json_answer(status: int, content: object) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(content).encode()


class Signer:
    """Makes JWTs, signed by RS256."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwt(self, life_seconds: float, subject: str = "exporter", **claims: object) -> str:
        """A token as a server makes it: for AUDIENCE, by ISSUER."""
        now = time.time()
        kept = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": int(now),
            "exp": now + life_seconds,
            "jti": uuid4().hex,
        }
        signed = f"{_part({'alg': 'RS256', 'typ': 'JWT', 'kid': _KEY_ID})}.{_part(kept | claims)}"
        return f"{signed}.{_text(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def jwks(self) -> str:
        """The public half, as a JWK set."""
        numbers = self._key.public_key().public_numbers()
        fields = {
            name: _text(number.to_bytes((number.bit_length() + 7) // 8, "big"))
            for name, number in (("n", numbers.n), ("e", numbers.e))
        }
        return json.dumps({"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": _KEY_ID, **fields}]})


class TokenServer:
    """The endpoint while the context lasts. `respond` answers instead of it, where it is set; `tls` serves https."""

    def __init__(self, life_seconds: float = 3600.0, *, tls: ssl.SSLContext | None = None) -> None:
        self.life_seconds = life_seconds
        self.signer = Signer()
        self.requests: list[TokenRequest] = []
        self.given: list[str] = []
        self.respond: Callable[[TokenRequest], Answer | None] | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._scheme = "http"
        if tls is not None:
            self._scheme = "https"
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}/token"

    @property
    def settings(self) -> dict[str, object]:
        """Return the settings of an installation that asks here."""
        return {
            "kafka_sasl_mechanism": "OAUTHBEARER",
            "kafka_oauth_token_url": self.url,
            "kafka_oauth_client_id": CLIENT_ID,
            "kafka_oauth_client_secret": SECRET,
        }

    def answer(self, request: TokenRequest) -> Answer:
        """As a server does that takes the client in its header."""
        if request.client != (CLIENT_ID, SECRET):
            return json_answer(401, {"error": "invalid_client", "error_description": "unknown client or wrong secret"})
        life = self.life_seconds
        self.given.append(token := self.signer.jwt(life))
        return json_answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": life})

    def broker(self, folder: Path, listeners: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
        """Return arguments of a RealKafka with listeners that take these tokens over TLS.

        `listeners` are more properties of each, by its name.

        `folder` gets the keys, and `certificate.pem`, which vouches for the broker.
        """
        keys, kept = folder / "jwks.json", folder / "broker.pem"
        keys.write_text(self.signer.jwks())
        public, private = certificate(folder)
        kept.write_bytes(private.read_bytes() + public.read_bytes())
        properties: dict[str, str] = {}
        for name, more in listeners.items():
            of_listener = {
                "sasl.enabled.mechanisms": "OAUTHBEARER",
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(kept),
            }
            of_listener |= {f"oauthbearer.{key}": value for key, value in _of_mechanism(keys).items()}
            properties |= {
                f"listener.name.{name.lower()}.{key}": value for key, value in (of_listener | dict(more)).items()
            }
        return {
            "listeners": dict.fromkeys(listeners, "SASL_SSL"),
            "properties": properties,
            "jvm_options": (*SMALL_JVM, f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={keys.as_uri()}"),
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
                form = {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
                request = TokenRequest(self.path, dict(self.headers.items()), form)
                server.requests.append(request)
                answer = server.respond(request) if server.respond is not None else None
                status, headers, content = answer or server.answer(request)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *_: object) -> None:
                """Say nothing of a request."""

        return Handler

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _of_mechanism(keys: Path) -> dict[str, str]:
    return {
        "sasl.jaas.config": f"{_MODULE}.OAuthBearerLoginModule required;",
        "sasl.server.callback.handler.class": f"{_MODULE}.OAuthBearerValidatorCallbackHandler",
        "sasl.oauthbearer.jwks.endpoint.url": keys.as_uri(),
        "sasl.oauthbearer.expected.audience": AUDIENCE,
        "sasl.oauthbearer.expected.issuer": ISSUER,
    }


def _part(content: object) -> str:
    return _text(json.dumps(content).encode())


def _text(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")
