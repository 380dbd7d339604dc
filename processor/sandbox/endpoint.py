"""A Kinesis endpoint on loopback: moto's server as a child process, and what the tour and the tests ask of it.

    with KinesisEndpoint() as endpoint:
        create_stream(endpoint.url, "us-east-1", "vip-profiles", shards=2)
        records = read_stream(endpoint.url, "us-east-1", "vip-profiles")

It keeps everything in memory, takes any credentials, and neither throttles nor fails in part. moto's `put_record` is
not safe for concurrency (two calls at once may overwrite a record), so one request is served after the other.
"""

import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from processor.sandbox.child import ChildError, ChildServer, announce, die_with_parent, wait_for_parent

ACCESS_KEY_ID: Final = "demo"
SECRET_KEY: Final = "demo-secret"  # noqa: S105  # the endpoint takes any
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})

_ANSWER_SECONDS: Final = 10
_ACTIVE_POLL_SECONDS: Final = 0.1
_ACTIVE_POLLS: Final = 300

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class StreamRecord(NamedTuple):
    """A record as a consumer of the stream gets it; sequence numbers grow within a shard."""

    partition_key: str
    data: bytes
    sequence_number: str
    shard: str
    arrival: datetime


class KinesisEndpoint:
    """The endpoint while the context lasts.

    Raises ChildError when it does not listen within 20 s. It leaves no process behind, also when this process is
    killed.
    """

    def __init__(self) -> None:
        self._server = ChildServer("processor.sandbox.endpoint")
        self._url = ""

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`; raises ChildError when it has not been started or has died."""
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


def create_stream(url: str, region: str, name: str, shards: int = 1) -> str:
    """Have a stream, ready to take records, and return its ARN; one that is there stays as it is.

    Raises botocore's errors.
    """
    client = _client(url, region)
    with suppress(client.exceptions.ResourceInUseException):  # it is there
        client.create_stream(StreamName=name, ShardCount=shards)
    wait = {"Delay": _ACTIVE_POLL_SECONDS, "MaxAttempts": _ACTIVE_POLLS}
    client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig=wait)
    return str(client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"])


def delete_stream(url: str, region: str, name: str) -> None:
    """Have the stream gone, with what it holds. Raises botocore's errors."""
    client = _client(url, region)
    with suppress(client.exceptions.ResourceNotFoundException):
        client.delete_stream(StreamName=name, EnforceConsumerDeletion=True)


def read_stream(url: str, region: str, name: str) -> list[StreamRecord]:
    """Everything the stream holds now, shard by shard, in order within each. Raises botocore's errors."""
    return StreamReader(url, region, name).read_on()


class StreamReader:
    """A consumer of all shards of a stream, from their beginnings; nobody may split or merge them meanwhile."""

    def __init__(self, url: str, region: str, name: str) -> None:
        self._client = client = _client(url, region)
        pages = client.get_paginator("list_shards").paginate(StreamName=name)
        shards = [shard["ShardId"] for page in pages for shard in page["Shards"]]
        start = {"StreamName": name, "ShardIteratorType": "TRIM_HORIZON"}
        self._iterators = {
            shard: client.get_shard_iterator(ShardId=shard, **start)["ShardIterator"] for shard in shards
        }

    def read_on(self) -> list[StreamRecord]:
        """What has come since the last call, shard by shard. Raises botocore's errors."""
        return [record for shard in self._iterators for record in self._read_shard(shard)]

    def _read_shard(self, shard: str) -> Iterator[StreamRecord]:
        at_end = False
        while not at_end:
            answer = self._client.get_records(ShardIterator=self._iterators[shard])
            for record in answer["Records"]:
                arrival = record["ApproximateArrivalTimestamp"]
                yield StreamRecord(record["PartitionKey"], record["Data"], record["SequenceNumber"], shard, arrival)
            self._iterators[shard] = answer["NextShardIterator"]
            at_end = not answer["Records"] and not answer["MillisBehindLatest"]


@lru_cache(maxsize=64)
def _client(url: str, region: str) -> Any:
    """A client that can only reach this machine, and repeats nothing by itself; raises ValueError for another
    address.
    """
    if urlsplit(url).hostname not in LOOPBACK:
        raise ValueError(f"{url} is not an address on this machine (http://127.0.0.1:PORT)")
    config = Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=_ANSWER_SECONDS,
        read_timeout=_ANSWER_SECONDS,
        proxies={},
    )
    return boto3.client(
        "kinesis",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_KEY,
        config=config,
    )


# The child process -------------------------------------------------------------------------------------------------


def _one_at_a_time(application: Application) -> Application:
    """`application`, which then needs no locks: bodies are read side by side, requests are served one by one."""
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
        """Keeps connections, says nothing."""

        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are two writes: Nagle would hold the second back for 40 ms

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Nothing."""

    application = _one_at_a_time(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    Thread(target=server.serve_forever, daemon=True).start()
    announce(f"http://127.0.0.1:{server.server_port}")
    wait_for_parent()


if __name__ == "__main__":
    _serve()
    os._exit(0)  # connections that clients keep open need no farewell
