"""Slow destinations and large uploads: what they hold is bounded, and everybody else is answered meanwhile
(docs/control-api.md).
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import httpx2
import pytest

from processor.api.access import Access, Role, Token
from processor.api.checks import BoundedChecks
from processor.api.errors import ApiError, Code
from processor.api.upload_room import UploadRoom
from processor.audience_import.layout import Dialect
from processor.audience_import.rejected import RejectedCounts
from processor.audience_import.request import ChangeCatalog, ImportRequest, ImportResult
from processor.foundation.secrets import Secrets
from processor.sandbox.waiting import wait_until
from schemas.destination import Destination
from tests.api.conftest import Api
from tests.api.served import SECONDS, Served, head, received, served
from tests.api.test_errors import NATIVE, refused
from tests.api.tutorial import BASE, KINESIS

DESTINATION = Destination(type="kinesis", stream="s", region="us-east-2")
CSV = {"content-type": "text/csv"}
UPLOAD = "/v1/audiences/import?id=loyalty"


class Gate:
    """A gate that lets nothing pass until it is opened."""

    def __init__(self) -> None:
        self.entered = 0
        self.opened = threading.Event()
        self._counting = threading.Lock()

    def pass_through(self) -> None:
        with self._counting:
            self.entered += 1
        assert self.opened.wait(SECONDS)


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.opened.set()


Asked = tuple[ThreadPoolExecutor, list[Future[httpx2.Response]]]


def in_threads(count: int, server: Served, ask: Callable[[httpx2.Client], httpx2.Response]) -> Asked:
    def one() -> httpx2.Response:
        with server.client() as client:
            return ask(client)

    threads = ThreadPoolExecutor(count)
    return threads, [threads.submit(one) for _ in range(count)]


def connect(api: Api) -> str:
    auth = {"specName": "Default credential chain", "params": {"region": "us-east-2"}}
    return str(
        api.post(f"{BASE}/connections", json={"name": "k", "connectionSpec": {"id": KINESIS}, "auth": auth}).json()[
            "id"
        ]
    )


def test_destinations_that_do_not_answer_hold_up_nobody_but_those_who_asked(api: Api, gate: Gate) -> None:
    def examine(_: Destination, __: bool) -> list[str]:
        gate.pass_through()
        return []

    base_id = connect(api)
    api.app.state.services = replace(api.services, examine=BoundedChecks(examine, at_once=4, seconds=SECONDS))
    with served(api.app) as server:
        threads, tests = in_threads(60, server, lambda client: client.get(f"{BASE}/connections/{base_id}/test"))
        with threads, server.client() as client:
            wait_until(lambda: sum(test.done() for test in tests) == 56, "the checks that were not made", SECONDS)
            answers = [
                client.get(path).status_code for path in ("/health/live", "/health/ready", f"{BASE}/flows", "/v1/flows")
            ]
            entered = gate.entered
            gate.opened.set()
            found = [test.result(SECONDS) for test in tests]

    assert entered == 4
    assert answers == [200] * 4
    assert [each.status_code for each in found].count(200) == 4
    assert all("ask again" in each.json()["errorDetails"] for each in found if each.status_code != 200)


def test_health_does_not_wait_for_a_thread_of_the_calls(api: Api, gate: Gate) -> None:
    def held(_: Sequence[Destination], __: bool) -> list[str]:
        gate.pass_through()
        return []

    base_id = connect(api)
    api.app.state.services = replace(api.services, examine=held)
    with served(api.app) as server:
        threads, tests = in_threads(45, server, lambda client: client.get(f"{BASE}/connections/{base_id}/test"))
        with threads, server.client() as client:
            wait_until(lambda: gate.entered == 40, "every thread that the calls share", SECONDS)
            ready = client.get("/health/ready").status_code
            gate.opened.set()
            assert {test.result(SECONDS).status_code for test in tests} == {200}

    assert ready == 200


def test_a_check_that_takes_too_long_is_told_with_what_was_answered_before() -> None:
    opened = threading.Event()

    def examine(destination: Destination, _: bool) -> list[str]:
        if destination.stream == "slow":
            opened.wait(SECONDS)
        return [f"{destination.stream}: wrong"]

    checks = BoundedChecks(examine, at_once=1, seconds=0.2)
    first = checks([DESTINATION, DESTINATION.model_copy(update={"stream": "slow"}), DESTINATION], False)
    with pytest.raises(ApiError, match="not asked") as second:
        checks([DESTINATION], False)
    opened.set()
    wait_until(lambda: answer_of(checks) == ["s: wrong"], "the slot of the slow one", SECONDS)

    assert first == ["s: wrong", "2 of 3 destinations gave no answer within 0.2 s"]
    assert second.value.code is Code.BUSY


def answer_of(checks: BoundedChecks) -> list[str]:
    """Return the faults of one destination; nothing where the checks are busy."""
    try:
        return checks([DESTINATION], False)
    except ApiError:
        return []


def test_a_check_that_fails_by_a_fault_of_ours_is_told_beside_the_change_that_is_in_force(api: Api) -> None:
    def examine(_: Destination, __: bool) -> list[str]:
        raise RuntimeError("a fault of ours, with the secret")

    base_id = connect(api)
    api.app.state.services = replace(api.services, examine=BoundedChecks(examine))
    put = api.put("/v1/flows/vip", json=NATIVE)
    found = api.get(f"{BASE}/connections/{base_id}/test")

    assert put.status_code == 200, put.text
    assert "the check itself failed (RuntimeError)" in put.json()["warnings"][-1]
    assert found.json()["result"] is False
    assert "secret" not in put.text + found.text


def test_a_fifth_check_at_once_is_answered_as_busy_and_a_change_beside_it_is_made_and_told(api: Api) -> None:
    """A busy check knows nothing of the destination: neither that it authorizes us, nor that it does not."""

    def busy(_: Sequence[Destination], __: bool) -> list[str]:
        raise ApiError(Code.BUSY, "not asked: 4 other checks")

    base_id = connect(api)
    assert api.put("/v1/flows/vip", json=NATIVE | {"state": "disabled"}).status_code == 200
    api.app.state.services = replace(api.services, examine=busy)
    tested = api.get(f"{BASE}/connections/{base_id}/test")
    strict = api.post(f"{BASE}/flows/vip/action?op=enable&strict=true")
    state_after = api.get("/v1/flows/vip").json()
    enabled = api.post(f"{BASE}/flows/vip/action?op=enable")

    refused(api, tested, Code.BUSY, "not asked")
    refused(api, strict, Code.BUSY, "not asked")
    assert tested.headers["Retry-After"] == "10"
    assert state_after["flow"]["state"] == "disabled"
    assert (enabled.status_code, enabled.json()["warnings"]) == (200, ["not asked: 4 other checks"])


@pytest.mark.parametrize(
    "path", [f"{BASE}/flows/vip/action?op=enable", f"{BASE}/flows/vip/action?op=enable&strict=true"]
)
def test_a_token_for_reading_makes_no_call_to_a_destination(path: str) -> None:
    asked: list[object] = []
    digest = sha256(b"reader's token").hexdigest()
    api = Api(Secrets(), Access([], 5))
    base_id = connect(api)
    assert api.put("/v1/flows/vip", json=NATIVE | {"state": "disabled"}).status_code == 200
    reader = Access([Token(name="bob", sha256=digest, role=Role.READ)], 5)
    api.app.state.services = replace(api.services, access=reader, examine=lambda *_: asked.append(1) or [])
    api.headers["Authorization"] = "Bearer reader's token"

    refused(api, api.post(path), Code.FORBIDDEN)
    refused(api, api.get(f"{BASE}/connections/{base_id}/test"), Code.FORBIDDEN)
    assert not asked


def imported(change: ChangeCatalog, path: Path, request: ImportRequest, rejected: Path) -> ImportResult:
    return ImportResult(path.read_text(), Dialect("utf-8", ","), 1, 1, 0, 0, RejectedCounts(), [], [])


def test_uploads_that_wait_for_another_one_hold_no_thread(api: Api, gate: Gate) -> None:
    def importer(*arguments: object) -> ImportResult:
        gate.pass_through()
        return imported(*arguments)  # type: ignore[arg-type]

    api.app.state.services = replace(
        api.services, importer=importer, uploads=UploadRoom(1000, SECONDS, most_uploads=60)
    )
    with served(api.app) as server:
        threads, uploads = in_threads(
            45, server, lambda client: client.post(UPLOAD, content=b"profileId\np-1\n", headers=CSV)
        )
        with threads, server.client() as client:
            wait_until(lambda: gate.entered > 0, "the first import", SECONDS)
            meanwhile = [client.get("/v1/flows").status_code for _ in range(20)]
            entered = gate.entered
            gate.opened.set()
            answers = [upload.result(SECONDS).status_code for upload in uploads]

    assert meanwhile == [200] * 20
    assert entered == 1
    assert answers == [200] * 45


def test_more_uploads_or_bytes_than_there_is_room_for_are_sent_later(api: Api, gate: Gate) -> None:
    def importer(*arguments: object) -> ImportResult:
        gate.pass_through()
        return imported(*arguments)  # type: ignore[arg-type]

    room = UploadRoom(100, SECONDS, most_uploads=2)
    api.app.state.services = replace(api.services, importer=importer, uploads=room)
    with served(api.app) as server:
        threads, first = in_threads(
            1, server, lambda client: client.post(UPLOAD, content=b"profileId\n" + b"p" * 80, headers=CSV)
        )
        with threads, server.client(**CSV) as client:
            wait_until(lambda: gate.entered > 0, "the first import", SECONDS)
            too_much = client.post(UPLOAD, content=b"p" * 50)
            too_large = client.post(UPLOAD, content=b"p" * 101)
            more, second = in_threads(1, server, lambda other: other.post(UPLOAD, content=b"profileId\n", headers=CSV))
            with more:
                wait_until(lambda: room.under_way == 2, "the second one", SECONDS)
                one_too_many = client.post(UPLOAD, content=b"")
                gate.opened.set()
                done = [upload.result(SECONDS) for upload in (*first, *second)]
            afterwards = client.post(UPLOAD, content=b"p" * 100)

    refused(api, too_much, Code.BUSY, "100 bytes")
    refused(api, too_large, Code.TOO_LARGE, "100 bytes")
    refused(api, one_too_many, Code.BUSY, "2 uploads")
    assert one_too_many.headers["retry-after"] == "10"
    assert [each.status_code for each in (*done, afterwards)] == [200] * 3
    assert done[0].json()["import"] == "profileId\n" + "p" * 80


def test_an_upload_that_stops_ends_with_408_and_leaves_its_room_to_others(api: Api) -> None:
    api.app.state.services = replace(api.services, importer=imported, uploads=UploadRoom(10_000, 0.5, most_uploads=1))
    with served(api.app) as server:
        with server.connect() as connection:
            connection.sendall(head("POST", UPLOAD, content_type="text/csv", content_length=5000) + b"profileId\n")
            answer = received(connection)
        with server.client(**CSV) as client:
            next_one = client.post(UPLOAD, content=b"profileId\np-1\n")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert next_one.json()["import"] == "profileId\np-1\n"


def test_an_upload_in_tiny_pieces_arrives_whole(api: Api) -> None:
    api.app.state.services = replace(api.services, importer=imported)
    body = b"profileId\n" + b"".join(b"p-%d\n" % number for number in range(500))
    with served(api.app) as server, server.connect() as connection:
        connection.sendall(head("POST", UPLOAD, content_type="text/csv", content_length=len(body), connection="close"))
        for place in range(len(body)):
            connection.sendall(body[place : place + 1])
        answer = received(connection)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"p-499" in answer
