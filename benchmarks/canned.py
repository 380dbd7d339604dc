"""A Kinesis endpoint that takes every record at once and keeps none.

python -m benchmarks.canned [milliseconds a response takes] [file] [limit]

LIMIT: the stream has one shard, which takes so many records a second, a second's worth at once, and refuses the others
as AWS does. An empty FILE is none.

FILE gets a line for each record that has an envelope (D2): when it was answered, in milliseconds since 1970, and its
id. Answers name the shard of each record, of more shards than any load here needs at 1,000 records a second. The
endpoint announces its address on stdout and ends with the process that started it (`processor.sandbox.child`).
"""

import asyncio
import base64
import re
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from hashlib import md5
from itertools import count
from pathlib import Path
from typing import IO

from processor.sandbox.child import announce, die_with_parent

ENTRY = b'{"SequenceNumber":"%d","ShardId":"shardId-%012d"}'
REFUSED = (
    b'{"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":"Rate exceeded for shard'
    b' shardId-000000000000"}'
)
SHARDS = 256
_DATA = re.compile(rb'"Data":\s*"([^"]*)"')
_ID = re.compile(rb'"id":"([^"]*)"')
_PARTITION_KEY = re.compile(rb'"PartitionKey":\s*"([^"]*)"')  # keys of the benchmarks need no escapes
calls = count(10**55)  # sequence numbers of AWS have 56 digits; one a call is enough for them to rise


class Shard:
    """A token bucket of one second."""

    def __init__(self, records_a_second: float) -> None:
        self._most = self._left = records_a_second
        self._at = time.monotonic()

    def take(self, records: int) -> int:
        """Return how many of so many records the stream takes now."""
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._most)
        self._at = now
        taken = min(records, int(self._left))
        self._left -= taken
        return taken


class Answering(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, as far as boto3 uses it."""

    def __init__(self, delay_seconds: float, arrivals: IO[bytes] | None, shard: Shard | None) -> None:
        self._delay = delay_seconds
        self._arrivals = arrivals
        self._shard = shard
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        if b"expect: 100-continue" in head and len(self._buffer) == end + 4:
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if len(self._buffer) < end + 4 + length:
            return
        entries = self._entries(_PARTITION_KEY.findall(self._buffer, end))
        if self._arrivals is not None:
            self._note(self._arrivals, end)
        self._buffer.clear()
        body = b'{"FailedRecordCount":%d,"Records":[%b]}' % (entries.count(REFUSED), b",".join(entries))
        answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: %d\r\n\r\n%b" % (
            len(body),
            body,
        )
        asyncio.get_running_loop().call_later(self._delay, self._write, answer)

    def _entries(self, keys: Sequence[bytes]) -> list[bytes]:
        number = next(calls)
        if self._shard is None:
            return [ENTRY % (number, md5(key, usedforsecurity=False).digest()[0]) for key in keys]
        taken = self._shard.take(len(keys))
        return [ENTRY % (number, 0)] * taken + [REFUSED] * (len(keys) - taken)

    def _note(self, arrivals: IO[bytes], end: int) -> None:
        answered = int((time.time() + self._delay) * 1000)
        records = (base64.b64decode(data) for data in _DATA.findall(self._buffer, end))
        arrivals.writelines(b"%d %b\n" % (answered, found[1]) for record in records if (found := _ID.search(record)))
        arrivals.flush()

    def _write(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


async def serve(delay_seconds: float, arrivals: IO[bytes] | None, shard: Shard | None) -> None:
    """Answer PutRecords calls until the process is killed."""
    server = await asyncio.get_running_loop().create_server(
        lambda: Answering(delay_seconds, arrivals, shard), "127.0.0.1", 0
    )
    host, port = server.sockets[0].getsockname()
    announce(f"http://{host}:{port}")
    await server.serve_forever()


if __name__ == "__main__":
    die_with_parent()
    seconds = float(sys.argv[1]) / 1000 if len(sys.argv) > 1 else 0.0
    one_shard = Shard(float(sys.argv[3])) if len(sys.argv) > 3 else None
    with Path(sys.argv[2]).open("ab") if len(sys.argv) > 2 and sys.argv[2] else nullcontext() as file:
        asyncio.run(serve(seconds, file, one_shard))
