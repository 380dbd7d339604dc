"""The connection check asks ListStreams only, and tells what is wrong in words (contract G6)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from processor.delivery.preflight import check_destination, list_streams
from processor.demo.endpoint import create_stream
from schemas.destination import Destination

REGION = "us-east-2"
KEYS = {"type": "keys", "accessKeyId": "AKIA1", "secretKey": "${SECRET}"}
ENVIRON = {"SECRET": "lovelace"}


def a_destination(**changes: Any) -> Destination:
    return Destination.model_validate({"type": "kinesis", "stream": "vip", "region": REGION, "credentials": KEYS, **changes})


class FakeLister:
    """Streams in pages of two, by the last name, as AWS pages; `forgetful` always answers the first page."""

    def __init__(self, *names: str, forgetful: bool = False, **more: Any) -> None:
        self.names, self.forgetful, self.more = sorted(names), forgetful, more
        self.calls = 0

    def list_streams(self, **arguments: Any) -> Mapping[str, Any]:
        self.calls += 1
        after = "" if self.forgetful else arguments.get("ExclusiveStartStreamName", "")
        left = [name for name in self.names if name > after]
        return {"StreamNames": left[:2], "HasMoreStreams": len(left) > 2, **self.more}


def test_g6_every_page_is_read_by_the_last_name() -> None:
    lister = FakeLister("a", "b", "c", "d", "e")

    assert [name for name, _ in list_streams(lister)] == ["a", "b", "c", "d", "e"]
    assert lister.calls == 3


def test_g6_an_endpoint_that_does_not_know_pages_is_no_endless_loop() -> None:
    lister = FakeLister("a", "b", "c", forgetful=True)

    assert {name for name, _ in list_streams(lister)} == {"a", "b"}
    assert lister.calls == 2


def test_g6_the_status_is_told_where_the_endpoint_tells_it() -> None:
    summaries = [{"StreamName": "b", "StreamStatus": "CREATING"}]

    assert dict(list_streams(FakeLister("a", "b", StreamSummaries=summaries))) == {"a": "ACTIVE", "b": "CREATING"}


def test_g6_a_stream_that_is_there_is_no_problem(kinesis: str) -> None:
    create_stream(kinesis, REGION, "preflight-there")

    assert check_destination(a_destination(stream="preflight-there", endpointUrl=kinesis), ENVIRON) is None


def test_g6_a_stream_that_is_not_there_is_told_with_the_near_ones_and_how_to_create_it(kinesis: str) -> None:
    create_stream(kinesis, REGION, "preflight-profiles")

    problem = check_destination(a_destination(stream="preflight-profile", endpointUrl=kinesis), ENVIRON)

    assert problem is not None
    assert "no such stream" in problem.text
    assert "preflight-profiles" in problem.text
    assert "aws kinesis create-stream --stream-name preflight-profile " in problem.remedy


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"endpointUrl": "http://127.0.0.1:1"}, "no usable answer from http://127.0.0.1:1"),
        ({"endpointUrl": "http://in valid"}, "Invalid endpoint"),
        ({"credentials": {**KEYS, "secretKey": "${NOT_SET}"}}, "credentials_missing: NOT_SET is not set"),
        ({"credentials": {"type": "profile", "name": "nobody-has-this"}}, "credentials_missing: the AWS configuration files have no profile"),
    ],
)
def test_g6_g7_what_is_wrong_is_told_in_words_with_a_remedy_and_without_secrets(changes: dict[str, Any], told: str) -> None:
    problem = check_destination(a_destination(**changes), ENVIRON)

    assert problem is not None
    assert told in problem.text
    assert problem.remedy
    assert "lovelace" not in problem.text + problem.remedy


@contextmanager
def an_endpoint_that_answers(status: int, body: bytes, asked: list[str]) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.headers["X-Amz-Target"])
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "told", "remedy"),
    [
        (400, b'{"__type":"AccessDeniedException","message":"no"}', "kinesis:ListStreams is not allowed", "kinesis:PutRecords"),
        (400, b'{"__type":"UnrecognizedClientException","message":"who?"}', "credentials_refused: who?", "clock"),
        (503, b"busy", "no usable answer", "endpointUrl"),
        (200, b"<html>", "no usable answer", "endpointUrl"),
        (200, b"{}", "no usable answer", "endpointUrl"),
        (200, b'{"StreamNames":[],"HasMoreStreams":false}', "no such stream; there is none at all", "create-stream"),
    ],
)
def test_g6_an_answer_that_is_none_is_told_and_nothing_but_list_streams_is_asked(status: int, body: bytes, told: str, remedy: str) -> None:
    asked: list[str] = []
    with an_endpoint_that_answers(status, body, asked) as url:
        problem = check_destination(a_destination(endpointUrl=url), ENVIRON)

    assert problem is not None
    assert told in problem.text
    assert remedy in problem.remedy
    assert asked == ["Kinesis_20131202.ListStreams"]
