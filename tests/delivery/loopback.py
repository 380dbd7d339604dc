"""An HTTP server on loopback that answers every call from a script, checks signatures by itself (no botocore) and
remembers what came.
"""

import hashlib
import hmac
import http.server
import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple, Self

SECRET = "wJalrXUtnFEMI/K7MDENG"


class Request(NamedTuple):
    """A PutRecords call as it came over the wire."""

    headers: dict[str, str]
    body: bytes
    signed_well: bool

    @property
    def records(self) -> list[dict[str, str]]:
        records: list[dict[str, str]] = json.loads(self.body)["Records"]
        return records


class Reply(NamedTuple):
    """`body` of another length than `length` is a cut response; None closes the connection without a word."""

    status: int = 200
    body: bytes | None = b""
    length: int | None = None
    headers: Mapping[str, str] = MappingProxyType({})


Script = Callable[[Request], Reply]


def success(request: Request) -> Reply:
    entries = [{"SequenceNumber": "1", "ShardId": "shardId-0"} for _ in request.records]
    return Reply(200, json.dumps({"FailedRecordCount": 0, "Records": entries}).encode())


def failure(status: int, code: str) -> Reply:
    return Reply(status, json.dumps({"__type": code, "message": "said so"}).encode())


class Loopback:
    """The server while the context lasts."""

    def __init__(self, script: Script = success) -> None:
        self.script = script
        self.requests: list[Request] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_CONNECT(self) -> None:
                """What a client asks of a proxy, on the way to another host with TLS; it is answered by the script as
                any other call.
                """
                reply = outer.script(Request(dict(self.headers) | {"Host": self.path}, b"", signed_well=False))
                self.send_response(reply.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = dict(self.headers)
                request = Request(headers, body, is_signed_well(self.path, self.headers, body))
                outer.requests.append(request)
                reply = outer.script(request)
                if reply.body is None:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in ({"Content-Type": "application/x-amz-json-1.1"} | dict(reply.headers)).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
                with suppress(ConnectionError):  # a client that waited long enough
                    self.end_headers()
                    self.wfile.write(reply.body)
                self.close_connection = reply.length is not None

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def is_signed_well(path: str, headers: Any, body: bytes) -> bool:
    """AWS Signature Version 4, recomputed from what came (AWS General Reference, "Create a signed AWS API request")."""
    authorization = headers.get("Authorization", "")
    if not authorization.startswith("AWS4-HMAC-SHA256 "):
        return False
    fields = dict(part.strip().split("=", 1) for part in authorization.removeprefix("AWS4-HMAC-SHA256 ").split(","))
    _, date, region, service, _ = fields["Credential"].split("/")
    names = fields["SignedHeaders"].split(";")
    lines = [f"{name}:{' '.join(headers[name].split())}" for name in names]
    canonical = "\n".join(["POST", path, "", *lines, "", fields["SignedHeaders"], hashlib.sha256(body).hexdigest()])
    scope = f"{date}/{region}/{service}/aws4_request"
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", headers["X-Amz-Date"], scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = f"AWS4{SECRET}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.compare_digest(hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest(), fields["Signature"])
