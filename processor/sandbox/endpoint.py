"""A Kinesis endpoint on loopback: moto's server as a child process.

    with KinesisEndpoint() as endpoint:
        create_stream(endpoint.url, "us-east-1", "vip-profiles", shards=2)          # processor.sandbox.streams

It keeps everything in memory, takes any credentials, and neither throttles nor fails in part. moto's `put_record` is
not safe for concurrency (two calls at once may overwrite a record), so one request is served after the other.
"""

import io
import os
import sys
from collections.abc import Callable, Iterable
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self

from processor.sandbox.child import ChildError, ChildServer, announce, die_with_parent, wait_for_parent

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class KinesisEndpoint:
    """A Kinesis endpoint that listens while its context lasts.

    Raises ChildError when it does not listen within 20 s. It leaves no process behind, also when this process is
    killed.
    """

    def __init__(self) -> None:
        self._server = ChildServer("processor.sandbox.endpoint")
        self._url = ""

    @property
    def url(self) -> str:
        """Return `http://127.0.0.1:PORT`; raise ChildError when it has not been started or has died."""
        if not self._server.is_running:
            raise ChildError("the Kinesis endpoint is not running")
        return self._url

    def __enter__(self) -> Self:
        self._url = self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()


# The child process -------------------------------------------------------------------------------------------------


def _one_at_a_time(application: Application) -> Application:
    """Serve one request after the other, so that `application` needs no locks; bodies are read side by side."""
    lock = Lock()

    def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        with lock:
            return list(application(environ, start_response))

    return serve


def _serve() -> None:
    die_with_parent()
    try:  # whoever imports this module need not have it
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415
            DomainDispatcherApplication,
            MotoRequestHandler,
            create_backend_app,
        )
        from werkzeug.serving import make_server  # noqa: PLC0415
    except ImportError as error:
        sys.exit(f"{error}; it comes with the extra `demo`: pip install 'profile-exporter[demo]'")

    class Quiet(MotoRequestHandler):
        """A request handler that keeps connections and logs nothing."""

        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are two writes: Nagle would hold the second back for 40 ms

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Ignore the request, as nobody reads its log."""

    application = _one_at_a_time(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    Thread(target=server.serve_forever, daemon=True).start()
    announce(f"http://127.0.0.1:{server.server_port}")
    wait_for_parent()


if __name__ == "__main__":
    _serve()
    os._exit(0)  # connections that clients keep open need no farewell
