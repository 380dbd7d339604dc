"""The server: takes calls, asks the plan, forwards what it lets through, and writes down what happened."""

import asyncio
import re
import socket
import struct
import time
from collections.abc import Sequence
from threading import Thread
from types import TracebackType
from typing import Any, Self

import orjson
from aiohttp import ClientError, ClientSession, web

from tests.faults.kinesis_proxy.buckets import Shards
from tests.faults.kinesis_proxy.ledger import Call, Ledger, Stored, mark_of
from tests.faults.kinesis_proxy.plan import Course, Do, Entry, Plan, Rule

MOST_BYTES = 64 * 1024 * 1024
START_SECONDS = 120.0
HASH_KEY_BITS = 128
PAGE = b"<html><head><title>Sign in</title></head><body>You are not online.</body></html>"
JSON = "application/x-amz-json-1.1"
PASSED_ON = ("x-amz-target", "content-type", "authorization", "x-amz-date", "x-amz-security-token")
THROTTLED = "ProvisionedThroughputExceededException"

Answer = tuple[int, bytes]
"""Status and body, as the endpoint or the plan has it."""


class FaultProxy:
    """The proxy while the context lasts, in a thread of its own; `port` 0: a free one.

    `ledger` is safe to read when it is quiet.
    """

    def __init__(self, upstream: str, plan: Plan | None = None, port: int = 0) -> None:
        self._upstream, self._port = upstream, port
        self._handling = 0
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._thread = Thread(target=self._run, daemon=True)
        self.url = ""
        self._begin(plan or Plan())

    def follow(self, plan: Plan) -> None:
        """Another plan from now on, and an empty ledger. Calls under way end by the old ones."""
        asyncio.run_coroutine_threadsafe(self._follow(plan), self._loop).result(START_SECONDS)

    def wait_until_quiet(self, seconds: float) -> None:
        """Return when no call is under way: those that the plan keeps for later are applied by then."""
        deadline = time.monotonic() + seconds
        while self._handling:
            assert time.monotonic() < deadline, f"{self._handling} calls are still under way after {seconds} s"
            time.sleep(0.01)

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self.url:
            assert self._thread.is_alive(), "the fault proxy did not start"
            assert time.monotonic() < deadline, f"the fault proxy did not start in {START_SECONDS} s"
            time.sleep(0.002)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    def _begin(self, plan: Plan) -> None:
        self._course, self.ledger = Course(plan), Ledger()
        self._shards = None if plan.buckets is None else Shards(plan.buckets)

    async def _follow(self, plan: Plan) -> None:
        self._begin(plan)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        app = web.Application(client_max_size=MOST_BYTES)
        app.add_routes(
            [web.post("/", self._handle), web.put("/plan", self._put_plan), web.get("/ledger", self._get_ledger)]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        async with ClientSession(auto_decompress=False) as self._http:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", self._port)
            await site.start()
            host, port = runner.addresses[0]
            self.url = f"http://{host}:{port}"
            await self._stopped.wait()
            await runner.cleanup()

    async def _put_plan(self, request: web.Request) -> web.Response:
        try:
            self._begin(Plan.model_validate_json(await request.read()))
        except ValueError as error:
            return web.Response(status=400, text=f"{error}\n")
        return web.Response(text="followed from now on\n")

    async def _get_ledger(self, request: web.Request) -> web.Response:
        return web.Response(
            body=orjson.dumps(self.ledger.as_object(), option=orjson.OPT_INDENT_2), content_type="application/json"
        )

    async def _handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not request.headers.get("X-Amz-Target", "").endswith(".PutRecords"):
            return _response(await self._forward(request, body))
        self._handling += 1
        began = time.monotonic()
        call = None
        try:
            asked = orjson.loads(body)
            rule = self._course.next(asked["Records"])
            call = _called(self._course.calls, request, asked, rule)
            self.ledger.calls.append(call)
            return await self._answer(request, asked, rule, call)
        finally:
            if call is not None:
                call.seconds = time.monotonic() - began
            self._handling -= 1

    async def _answer(self, request: web.Request, asked: dict[str, Any], rule: Rule | None, call: Call) -> web.Response:
        if rule is None or rule.do in (Do.ENTRIES, Do.SPREAD, Do.DELAY):
            status, body = await self._apply(request, asked, rule, call)
            if rule is not None and rule.do is Do.DELAY:
                await asyncio.sleep(rule.seconds)
            return self._told(request, status, body, call)
        body = b""
        if rule.do is Do.LATE:
            await asyncio.sleep(rule.seconds)
        if rule.applied or rule.do in (Do.LATE, Do.TRUNCATE):
            _, body = await self._apply(request, asked, None, call)
        if rule.do is Do.SILENCE:
            await asyncio.sleep(rule.seconds)
        return _cut(request, body) if rule.do is Do.TRUNCATE else _fault(request, rule)

    async def _apply(self, request: web.Request, asked: dict[str, Any], rule: Rule | None, call: Call) -> Answer:
        """Forward what neither the plan nor a full shard keeps back, and make one answer of both."""
        entries: Sequence[Entry] = asked["Records"]
        failing = self._course.failing(rule, entries)
        stored_all_the_same = set(failing) if rule is not None and rule.applied else set()
        kept_back = {index: code for index, code in failing.items() if index not in stored_all_the_same}
        kept_back |= dict.fromkeys(self._refused_by_shards(entries, kept_back), THROTTLED)
        call.throttled = sum(code == THROTTLED for code in kept_back.values())
        sent = [index for index in range(len(entries)) if index not in kept_back]
        results: dict[int, dict[str, Any]] = {index: _entry_fault(code) for index, code in kept_back.items()}
        if sent:
            status, body = await self._forward(
                request, orjson.dumps({**asked, "Records": self._routed(rule, [entries[index] for index in sent])})
            )
            if status != 200:
                return status, body
            results |= zip(sent, orjson.loads(body)["Records"], strict=True)
        call.applied += [
            _stored(call.received[index], results[index]) for index in sent if results[index].get("SequenceNumber")
        ]
        results |= {index: _entry_fault(failing[index]) for index in stored_all_the_same}
        records = [results[index] for index in range(len(entries))]
        return 200, orjson.dumps(
            {"FailedRecordCount": sum(bool(record.get("ErrorCode")) for record in records), "Records": records}
        )

    def _refused_by_shards(self, entries: Sequence[Entry], kept_back: dict[int, str]) -> list[int]:
        shards = self._shards
        if shards is None:
            return []
        sizes = [
            len(entry["Data"]) * 3 // 4 - entry["Data"][-2:].count("=") + len(entry["PartitionKey"].encode())
            for entry in entries
        ]
        return [
            index
            for index, entry in enumerate(entries)
            if index not in kept_back and not shards.takes(entry, sizes[index])
        ]

    def _routed(self, rule: Rule | None, entries: Sequence[Entry]) -> Sequence[Entry]:
        if rule is None or rule.do is not Do.SPREAD:
            return entries
        return [{**entry, "ExplicitHashKey": str(self._course.dice.getrandbits(HASH_KEY_BITS))} for entry in entries]

    def _told(self, request: web.Request, status: int, body: bytes, call: Call) -> web.Response:
        """The answer, and in the ledger what it says is delivered, unless nobody is there to hear it."""
        if status == 200 and request.transport is not None and not request.transport.is_closing():
            records = orjson.loads(body)["Records"]
            call.told += [
                name for name, record in zip(call.received, records, strict=True) if not record.get("ErrorCode")
            ]
        return _response((status, body))

    async def _forward(self, request: web.Request, body: bytes) -> Answer:
        headers = {name: value for name, value in request.headers.items() if name.lower() in PASSED_ON}
        try:
            async with self._http.post(self._upstream, data=body, headers=headers) as answer:
                return answer.status, await answer.read()
        except ClientError as error:
            return 502, orjson.dumps(
                {"__type": "BadGateway", "message": f"{self._upstream}, behind the fault proxy: {error}"}
            )


def _called(number: int, request: web.Request, asked: dict[str, Any], rule: Rule | None) -> Call:
    signed_by = re.search("Credential=([^/]+)/", request.headers.get("Authorization", ""))
    received = [mark_of(entry) for entry in asked["Records"]]
    stream = asked.get("StreamName") or asked.get("StreamARN", "").rpartition("/")[2]
    return Call(number, signed_by[1] if signed_by else "", stream, None if rule is None else rule.do.value, received)


def _stored(record: str, result: dict[str, Any]) -> Stored:
    return Stored(record, result["ShardId"], result["SequenceNumber"])


def _entry_fault(code: str) -> dict[str, Any]:
    return {"ErrorCode": code, "ErrorMessage": "Rate exceeded for shard, by plan." if code == THROTTLED else "by plan"}


def _response(answer: Answer) -> web.Response:
    return web.Response(status=answer[0], body=answer[1], headers={"Content-Type": JSON})


def _fault(request: web.Request, rule: Rule) -> web.Response:
    match rule.do:
        case Do.ERROR:
            return _response((rule.status, orjson.dumps({"__type": rule.code, "message": rule.message})))
        case Do.HTML:
            return web.Response(status=rule.status, body=PAGE, content_type="text/html")
        case Do.EMPTY:
            return web.Response(status=rule.status)
        case _:
            return _hang_up(request, reset=rule.do is Do.RESET)


def _cut(request: web.Request, body: bytes) -> web.Response:
    if request.transport is not None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        request.transport.write(head + body[: len(body) // 2])
    return _hang_up(request, reset=False)


def _hang_up(request: web.Request, *, reset: bool) -> web.Response:
    """Close the connection; what is returned goes nowhere.

    By RST where there is no lingering (socket(7), SO_LINGER).
    """
    transport = request.transport
    if transport is not None and reset:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    elif transport is not None:
        transport.close()
    return web.Response()
