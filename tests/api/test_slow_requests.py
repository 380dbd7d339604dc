"""Requests that come slowly, in pieces, or not at all: they end, and nobody else waits for them (docs/control-api.md,
"What to know").
"""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256

import pytest
from starlette.types import Message, Receive, Scope, Send

from processor.api.access import Access, Role, Token
from processor.api.limits import LimitBody, Limits
from processor.foundation.secrets import Secrets
from tests.api.conftest import Api
from tests.api.served import SECONDS, Served, head, received, served

TOKEN = "a token of the right length"
BEARER = {"authorization": f"Bearer {TOKEN}"}
MIB = 1024 * 1024


@contextmanager
def bounded(seconds: int, connections: int = 20) -> Iterator[Served]:
    """A server with a token, and so long for each request."""
    api = Api(
        Secrets(),
        Access([Token(name="ada", sha256=sha256(TOKEN.encode()).hexdigest(), role=Role.WRITE)], 20),
        Limits(MIB, seconds),
    )
    with served(api.app, api_request_seconds=seconds, api_max_connections=connections) as running:
        yield running


@pytest.fixture
def hasty() -> Iterator[Served]:
    with bounded(1) as running:
        yield running


@pytest.fixture
def patient() -> Iterator[Served]:
    with bounded(int(SECONDS)) as running:
        yield running


def test_a_body_in_pieces_of_eight_bytes_costs_no_more_than_its_size() -> None:
    pieces = MIB // 8
    got: list[Message] = []

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        got.append(await receive())

    async def run() -> None:
        left = iter(range(pieces - 1, -1, -1))

        async def receive() -> Message:
            return {"type": "http.request", "body": b"01234567", "more_body": next(left) > 0}

        async def send(_: Message) -> None:
            raise AssertionError("the body was refused")

        await LimitBody(app, Limits(MIB, SECONDS))({"type": "http", "path": "/", "headers": []}, receive, send)

    begun = time.process_time()
    asyncio.run(run())
    seconds_of_cpu = time.process_time() - begun

    assert got[0]["body"] == b"01234567" * pieces
    assert seconds_of_cpu < 3.0  # a fifth of a second; 70 GB of copies otherwise


def test_while_a_body_comes_in_tiny_pieces_others_are_answered(patient: Served) -> None:
    pieces, answers = 2_000, list[int]()
    with patient.client() as client, patient.connect() as connection:
        connection.sendall(
            head(
                "PUT",
                "/v1/flows/vip",
                content_type="application/json",
                content_length=pieces,
                connection="close",
                **BEARER,
            )
        )
        for number in range(pieces):
            connection.sendall(b" ")
            if number % 200 == 0:
                answers.append(client.get("/health/live").status_code)
        answer = received(connection)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answers == [200] * 10


def test_a_body_that_never_comes_ends_with_408_and_the_connection_with_it(hasty: Served) -> None:
    with hasty.connect() as connection:
        connection.sendall(
            head("PUT", "/v1/flows/vip", content_type="application/json", content_length=1000, **BEARER) + b'{"name":'
        )
        answer = received(connection)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"FLOW-9205-408" in answer


def test_a_body_that_drips_is_not_waited_for_any_longer(hasty: Served) -> None:
    with hasty.connect() as connection:
        connection.sendall(
            head("PUT", "/v1/flows/vip", content_type="application/json", content_length=100_000, **BEARER)
        )
        answer = drip(connection)

    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_head_that_drips_is_closed(hasty: Served) -> None:
    with hasty.connect() as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nx-slow: ")

        assert drip(connection) == b""


def test_a_connection_that_says_nothing_is_closed(hasty: Served) -> None:
    with hasty.connect() as connection:
        assert received(connection) == b""


def test_what_still_drips_after_a_refusal_is_closed_too(hasty: Served) -> None:
    with hasty.connect() as connection:
        connection.sendall(head("PUT", "/v1/flows/vip", content_type="application/json", content_length=100_000))

        assert drip(connection).startswith(b"HTTP/1.1 401 ")


def test_nothing_of_a_body_is_read_before_the_token_was_looked_at(patient: Served) -> None:
    with patient.connect() as connection:
        connection.sendall(head("PUT", "/v1/flows/vip", content_type="application/json", content_length=1000))

        assert connection.recv(100).startswith(b"HTTP/1.1 401 ")


def test_connections_that_say_nothing_keep_nobody_out(patient: Served) -> None:
    with ExitStack() as silent:
        for _ in range(60):  # three times as many as are allowed
            silent.enter_context(patient.connect())
        with patient.client(**BEARER) as client:
            answers = [client.get("/v1/flows").status_code for _ in range(5)]

    assert answers == [200] * 5


def test_wrong_tokens_keep_nobody_out_who_has_the_same_address(patient: Served) -> None:
    with patient.client() as client:
        wrong = [client.get("/v1/flows", headers={"authorization": f"Bearer wrong {number}"}) for number in range(25)]
        right = client.get("/v1/flows", headers=BEARER)

    assert [each.status_code for each in wrong] == [401] * 20 + [429] * 5
    assert wrong[-1].headers["retry-after"] == "60"
    assert right.status_code == 200


def drip(connection: socket.socket) -> bytes:
    """Send a byte again and again until the server has closed the connection; what it said."""
    connection.settimeout(0.1)
    said, deadline = b"", time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            connection.sendall(b"x")
            piece = connection.recv(65_536)
        except TimeoutError:
            continue
        except (BrokenPipeError, ConnectionResetError):
            return said
        if not piece:
            return said
        said += piece
    raise AssertionError(f"the server still listens after {SECONDS:.0f} s; it said {said!r}")
