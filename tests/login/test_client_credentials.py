"""Tokens of an OAuth 2.0 endpoint, asked by a real HTTP server on loopback: what is sent, what is taken, what each
failure says.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from processor.login.client_credentials import UNSAID_SECONDS, ClientCredentials, tls_of
from processor.login.token import TokenUnavailable
from tests.kit.certificates import certificate
from tests.kit.kafka import free_ports
from tests.kit.tokens import CLIENT_ID, SECRET, Answer, TokenRequest, TokenServer, json_answer

LIFE = 3600.0


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer(LIFE) as running:
        yield running


def a_client(server: TokenServer, secret: str = SECRET, **options: Any) -> ClientCredentials:
    return ClientCredentials(server.url, CLIENT_ID, secret, **options)


def answering(
    server: TokenServer, status: int, content: object, headers: dict[str, str] | None = None
) -> ClientCredentials:
    """A client of a server that always says this."""
    body = content if isinstance(content, bytes) else json_answer(status, content)[2]
    server.respond = lambda _: (status, headers or {}, body)
    return a_client(server)


def unavailable(client: ClientCredentials) -> TokenUnavailable:
    with pytest.raises(TokenUnavailable) as raised:
        client.fetch()
    shown = repr(raised.value) + raised.value.what + raised.value.remedy
    assert SECRET not in shown
    assert quote_plus(SECRET) not in shown
    assert raised.value.remedy
    return raised.value


def test_a_token_is_asked_for_as_rfc_6749_has_it(server: TokenServer) -> None:
    token = a_client(server, scope="kafka:read kafka:write").fetch()

    (request,) = server.requests
    assert request.client == (CLIENT_ID, SECRET)
    assert request.form == {"grant_type": "client_credentials", "scope": "kafka:read kafka:write"}
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert LIFE - 60 < token.life_seconds <= LIFE
    assert token.renew_seconds == pytest.approx(0.75 * token.life_seconds)
    assert token.text.count(".") == 2
    assert token.text not in repr(token)


def test_without_a_scope_none_is_sent(server: TokenServer) -> None:
    a_client(server).fetch()

    assert server.requests[0].form == {"grant_type": "client_credentials"}


@pytest.mark.parametrize("status", [400, 401])
def test_a_server_that_takes_the_client_in_the_form_alone_gets_it_there_and_from_then_on_at_once(
    server: TokenServer, status: int
) -> None:
    def only_in_form(request: TokenRequest) -> Answer:
        if (request.form.get("client_id"), request.form.get("client_secret")) != (CLIENT_ID, SECRET):
            return json_answer(status, {"error": "invalid_client"})
        return json_answer(200, {"access_token": "a-token", "expires_in": LIFE})

    server.respond = only_in_form
    client = a_client(server)

    texts = [client.fetch().text for _ in range(2)]

    assert texts == ["a-token", "a-token"]
    assert ["Authorization" in request.headers for request in server.requests] == [True, False, False]


def test_a_wrong_secret_is_the_servers_words_and_a_remedy_and_is_never_shown(server: TokenServer) -> None:
    error = unavailable(a_client(server, secret="not-this-one"))

    assert error.what == f"the token endpoint {server.url} answers 401 (invalid_client: unknown client or wrong secret)"
    assert "CLIENT_SECRET" in error.remedy


def test_a_server_that_repeats_what_it_was_sent_gives_no_secret_away(server: TokenServer) -> None:
    error = unavailable(
        answering(server, 401, {"error": "invalid_client", "error_description": f"no {SECRET}\n{'x' * 1000}"})
    )

    assert "invalid_client: no **********" in error.what
    assert len(error.what) < 400
    assert "\n" not in error.what


@pytest.mark.parametrize(
    ("status", "content", "said"),
    [
        (200, b"<html>log in</html>", "answers with no JSON object"),
        (200, ["a"], "answers with no JSON object"),
        (200, {"token": "x"}, "answers with a JSON object without access_token"),
        (200, {"access_token": None}, "without access_token"),
        (200, {"access_token": "a", "token_type": "mac"}, "a token of the type mac, not Bearer"),
        (200, {"access_token": "two words"}, "gives a token that cannot be used: it is empty, or holds blanks"),
        (200, {"access_token": ""}, "gives a token that cannot be used: it is empty"),
        (200, {"access_token": "a", "expires_in": 0}, "it has ended when it comes"),
        (200, {"access_token": "a", "expires_in": -3600}, "it has ended when it comes"),
        (403, {"error": "access_denied"}, "answers 403 (access_denied)"),
        (404, b"nothing here", "answers 404"),
        (503, {}, "answers 503"),
    ],
)
def test_what_is_no_token_is_said_with_a_remedy(server: TokenServer, status: int, content: object, said: str) -> None:
    assert said in unavailable(answering(server, status, content)).what


def test_a_secret_follows_no_redirect(server: TokenServer) -> None:
    with TokenServer() as other:
        error = unavailable(answering(server, 307, b"", {"Location": other.url}))

        assert "answers 307" in error.what
        assert "follows no redirect" in error.remedy
        assert other.requests == []


@pytest.mark.parametrize(
    ("said", "life"),
    [
        ({"expires_in": 120}, 120.0),
        ({"expires_in": "120"}, 120.0),
        ({}, UNSAID_SECONDS),
        ({"expires_in": None}, UNSAID_SECONDS),
        ({"expires_in": "soon"}, UNSAID_SECONDS),
        ({"expires_in": float("nan")}, UNSAID_SECONDS),
        ({"expires_in": True}, UNSAID_SECONDS),
    ],
)
def test_how_long_a_token_holds_is_what_the_server_says(
    server: TokenServer, said: dict[str, object], life: float
) -> None:
    token = answering(server, 200, {"access_token": "opaque", **said}).fetch()

    assert life - 60 < token.life_seconds <= life


def test_where_the_server_does_not_say_how_long_the_token_does(server: TokenServer) -> None:
    token = answering(server, 200, {"access_token": server.signer.jwt(900.0)}).fetch()

    assert 800 < token.life_seconds <= 900


def test_a_server_that_is_not_there_is_named_with_why() -> None:
    (port,) = free_ports(1)

    error = unavailable(ClientCredentials(f"http://127.0.0.1:{port}/token?tenant=7", CLIENT_ID, SECRET))

    assert (
        error.what
        == f"the token endpoint http://127.0.0.1:{port}/token is not reachable: [Errno 111] Connection refused"
    )


def test_a_server_that_says_nothing_is_given_up(server: TokenServer) -> None:
    def silent(_: TokenRequest) -> Answer:
        time.sleep(2.0)
        return json_answer(200, {})

    server.respond = silent

    assert "is not reachable: timed out" in unavailable(a_client(server, seconds=0.2)).what


def test_an_answer_that_never_ends_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        dripping = threading.Thread(target=drip, args=(listening,), daemon=True)
        dripping.start()

        error = unavailable(
            ClientCredentials(f"http://127.0.0.1:{listening.getsockname()[1]}/token", CLIENT_ID, SECRET, seconds=0.5)
        )

    assert "is not reachable: its answer takes too long" in error.what


def drip(listening: socket.socket) -> None:
    """A body that comes a byte at a time, and sooner than any time-out."""
    connection, _ = listening.accept()
    with connection, suppress(OSError):
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while True:
            connection.sendall(b" ")
            time.sleep(0.02)


def test_over_tls_the_authority_is_the_settings_and_no_other_is_believed(tmp_path: Path) -> None:
    served, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(served, key)
    with TokenServer(LIFE, tls=context) as server:
        known = a_client(server, tls=tls_of(server.url, served)).fetch()
        error = unavailable(a_client(server, tls=tls_of(server.url, None)))

    assert known.life_seconds > 0
    assert "certificate verify failed" in error.what
    assert "CA_FILE" in error.remedy


def test_what_is_on_this_machine_is_asked_past_a_proxy(server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)

    assert a_client(server).fetch().text
