"""The API behind its real server: uvicorn on loopback, as `serve` sets it up, and clients that speak to it by raw
sockets.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from starlette.types import ASGIApp

from processor.api.serve import build_server
from processor.foundation.settings import Settings
from processor.sandbox.waiting import wait_until
from tests.kit.kafka import free_ports

SECONDS = 120.0


class Served:
    """A running server of the API."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def client(self, **headers: str) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, timeout=SECONDS, headers=headers)

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


@contextmanager
def served(app: ASGIApp, **settings: Any) -> Iterator[Served]:
    (port,) = free_ports(1)
    server = build_server(app, Settings(_env_file=None, **settings), "127.0.0.1", port)  # type: ignore[call-arg]  # pydantic-settings' own argument
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started, "the server", SECONDS)
        yield Served(port)
    finally:
        server.should_exit = True
        thread.join(SECONDS)
    assert not thread.is_alive()


def head(method: str, path: str, **headers: str | int) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    pieces = []
    try:
        while piece := connection.recv(65_536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)
