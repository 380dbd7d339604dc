"""The connection check asks for three permissions only, writes nothing, and tells what is wrong in words (contract
G6).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import MappingProxyType
from typing import Any, NamedTuple

import boto3
import orjson
import pytest

from processor.delivery.kinesis.preflight import examine
from processor.delivery.kinesis.questions import Answer, Outcome, Question
from processor.delivery.kinesis.stream_list import list_streams
from processor.sandbox.endpoint import KinesisEndpoint
from processor.sandbox.streams import create_stream, read_stream
from schemas.destination import Destination
from tests.delivery.aws import UNASKED, a_user, ask_iam

pytestmark = pytest.mark.xdist_group("preflight")  # the module's fixtures are made once

REGION = "us-east-2"
KEYS = {"type": "keys", "accessKeyId": "AKIA1", "secretKey": "${SECRET}"}
ENVIRON = {"SECRET": "lovelace"}


def a_destination(**changes: Any) -> Destination:
    """`changes` may take a field away, by None."""
    fields = {"type": "kinesis", "stream": "vip", "region": REGION, "credentials": KEYS, **changes}
    return Destination.model_validate({name: value for name, value in fields.items() if value is not None})


class FakeLister:
    """Streams in pages of two, by the last name, as AWS pages; `forgetful` always answers the first page."""

    def __init__(self, *names: str, forgetful: bool = False, **more: Any) -> None:
        self.names, self.forgetful, self.more = sorted(names), forgetful, more
        self.calls = 0

    def put_record(self, **arguments: Any) -> Mapping[str, Any]:
        raise NotImplementedError

    put_records = put_record

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


def wrong(answers: list[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.outcome is not Outcome.OK]


def test_g6_a_stream_that_is_there_is_no_problem_and_nothing_is_written(each_kinesis: str) -> None:
    create_stream(each_kinesis, REGION, "preflight-there")

    answers = examine(a_destination(stream="preflight-there", endpointUrl=each_kinesis), ENVIRON)

    assert [answer.question for answer in answers] == list(Question)
    assert wrong(answers) == []
    assert read_stream(each_kinesis, REGION, "preflight-there") == []


def test_g6_a_stream_that_is_not_there_is_told_with_the_near_ones_and_how_to_create_it(each_kinesis: str) -> None:
    create_stream(each_kinesis, REGION, "preflight-profiles")

    (answer,) = wrong(examine(a_destination(stream="preflight-profile", endpointUrl=each_kinesis), ENVIRON))

    assert (answer.question, answer.outcome) == (Question.STREAM, Outcome.FAILED)
    assert "no such stream" in answer.text
    assert "preflight-profiles" in answer.text
    assert "aws kinesis create-stream --stream-name preflight-profile " in answer.remedy


def test_g6_a_stream_beyond_the_first_page_is_found(each_kinesis: str) -> None:
    """moto lists 10 a page, kinesis-local 100 as AWS does, and neither gives a token."""
    region = "us-west-1"  # its streams are nobody else's
    client = boto3.client(
        "kinesis", endpoint_url=each_kinesis, region_name=region, aws_access_key_id="a", aws_secret_access_key="b"
    )
    for number in range(101):
        client.create_stream(StreamName=f"page-{number:03}", ShardCount=1)
    create_stream(each_kinesis, region, "page-100")

    answers = examine(a_destination(stream="page-100", region=region, endpointUrl=each_kinesis), ENVIRON)

    assert wrong(answers) == []


@pytest.mark.parametrize(
    ("changes", "told", "remedy"),
    [
        ({"endpointUrl": "http://127.0.0.1:1"}, "no usable answer from http://127.0.0.1:1", "start the endpoint"),
        ({"endpointUrl": "http://in_valid"}, "Invalid endpoint", "endpointUrl"),
        (
            {"credentials": {**KEYS, "secretKey": "${NOT_SET}"}},
            "credentials_missing: NOT_SET is not set",
            "credentials",
        ),
        (
            {"credentials": {"type": "profile", "name": "nobody-has-this"}},
            "credentials_missing: the AWS configuration files have no profile",
            "cred",
        ),
    ],
)
def test_g6_g7_what_is_wrong_is_told_in_words_with_a_remedy_and_without_secrets(
    changes: dict[str, Any], told: str, remedy: str
) -> None:
    (answer,) = examine(a_destination(**changes), ENVIRON)

    assert (answer.question, answer.outcome) == (Question.ACCESS, Outcome.FAILED)
    assert told in answer.text
    assert remedy in answer.remedy
    assert "lovelace" not in answer.text + answer.remedy


def test_g6_a_region_that_does_not_exist_is_told_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    """No way leads to it; here because nothing but loopback may be asked."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    (answer,) = examine(a_destination(region="us-eats-1"), ENVIRON)

    assert "boto3 knows no region us-eats-1; did you mean us-east-1?" in answer.remedy


class Scripted(NamedTuple):
    """What an endpoint answers to everything."""

    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})


@contextmanager
def an_endpoint_that_answers(answer: Scripted | dict[str, Scripted], asked: list[str]) -> Iterator[str]:
    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            asked.append(operation)
            self.rfile.read(int(self.headers["Content-Length"]))
            status, body, headers = answer[operation] if isinstance(answer, dict) else answer
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def error(code: str, message: str = "said so", **headers: str) -> Scripted:
    return Scripted(400, orjson.dumps({"__type": code, "message": message}), headers)


HTML = b"<!DOCTYPE html><html><body>Log in</body></html>"
WEB_PAGE = {"Content-Type": "text/html"}
ELSEWHERE = {"Location": "https://login.example.com/"}


@pytest.mark.parametrize(
    ("answer", "told", "remedy"),
    [
        (error("UnrecognizedClientException", "who?"), "credentials_refused: who?", "clock"),
        (error("ExpiredTokenException", "expired"), "credentials_refused: expired", "credentials"),
        (
            error("InvalidSignatureException", "Signature expired", Date="Wed, 01 Jan 2020 00:00:00 GMT"),
            "clock: this machine's",
            "set the clock",
        ),
        (
            error("InvalidSignatureException", "not yet", Date="Fri, 01 Jan 2100 00:00:00 GMT"),
            "minutes behind the endpoint's",
            "clock",
        ),
        (Scripted(503, b"busy"), "no usable answer", "endpointUrl"),
        (Scripted(200, b"{}"), "no usable answer", "endpointUrl"),
        (Scripted(200, HTML, WEB_PAGE), "web page (HTML)", "endpointUrl"),
        (Scripted(404, HTML, WEB_PAGE), "web page (HTML, status 404)", "proxy"),
        (Scripted(403, HTML, WEB_PAGE), "web page (HTML, status 403)", "proxy"),
        (Scripted(502, HTML, WEB_PAGE), "web page (HTML, status 502)", "proxy"),
        (
            Scripted(302, HTML, ELSEWHERE),
            "is not reached: 302: a redirect, which is not followed; to https://login.example.com/",
            "endpointUrl",
        ),
        (Scripted(303, b"", ELSEWHERE), "is not reached: 303: a redirect", "endpointUrl"),
        (Scripted(307, b"{}", ELSEWHERE), "is not reached: 307: a redirect", "endpointUrl"),
        (
            Scripted(407, HTML, WEB_PAGE),
            "is not reached: 407: a proxy on the way wants a login",
            "HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT",
        ),
        (
            error("SubscriptionRequiredException", "no"),
            "access_denied: the account is not signed up for the service",
            "finish the account's sign-up",
        ),
        (
            error("OptInRequired", "no"),
            "access_denied: the account is not signed up for the service",
            "finish the account's sign-up",
        ),
    ],
)
def test_g6_without_access_the_cause_is_told_in_words_and_nothing_else_is_asked(
    answer: Scripted, told: str, remedy: str
) -> None:
    asked: list[str] = []
    with an_endpoint_that_answers(answer, asked) as url:
        (found,) = examine(a_destination(endpointUrl=url), ENVIRON)

    assert (found.question, found.outcome) == (Question.ACCESS, Outcome.FAILED)
    assert told in found.text
    assert remedy in found.remedy
    assert "Traceback" not in found.text
    assert asked == ["ListStreams"]


THERE = Scripted(
    200,
    b'{"StreamNames":["vip"],"HasMoreStreams":false,"StreamSummaries":[{"StreamName":"vip","StreamStatus":"ACTIVE"}]}',
)
BEING_MADE = Scripted(200, THERE.body.replace(b"ACTIVE", b"CREATING"))
DENIED, AUTHORISED = error("AccessDeniedException", "no"), error("InvalidArgumentException", "ExplicitHashKey")
TAKEN = Scripted(
    200, b'{"SequenceNumber":"1","ShardId":"s","FailedRecordCount":0,"Records":[{"SequenceNumber":"1","ShardId":"s"}]}'
)


@pytest.mark.parametrize(
    ("listed", "put", "found"),
    [
        (THERE, AUTHORISED, {}),
        (THERE, error("DryRunOperationException"), {}),
        (THERE, DENIED, {Question.PUT_RECORD: Outcome.FAILED, Question.PUT_RECORDS: Outcome.FAILED}),
        (THERE, TAKEN, {Question.PUT_RECORD: Outcome.UNKNOWN, Question.PUT_RECORDS: Outcome.UNKNOWN}),
        (THERE, error("InternalFailure"),
         {Question.PUT_RECORD: Outcome.UNKNOWN, Question.PUT_RECORDS: Outcome.UNKNOWN}),
        (BEING_MADE, AUTHORISED, {Question.STREAM: Outcome.FAILED}),
        (THERE, error("KMSDisabledException"),
         dict.fromkeys([Question.PUT_RECORD, Question.PUT_RECORDS], Outcome.UNKNOWN)
         | {Question.STREAM: Outcome.FAILED}),
        (DENIED, AUTHORISED, {Question.LIST_STREAMS: Outcome.FAILED}),
        (DENIED, error("ResourceNotFoundException"),
         {Question.LIST_STREAMS: Outcome.FAILED, Question.STREAM: Outcome.FAILED}),
        (DENIED, DENIED,
         dict.fromkeys([Question.LIST_STREAMS, Question.PUT_RECORD, Question.PUT_RECORDS], Outcome.FAILED)
         | {Question.STREAM: Outcome.UNKNOWN}),
        (error("LimitExceededException"), AUTHORISED, {Question.LIST_STREAMS: Outcome.UNKNOWN}),
    ],
)  # fmt: skip
def test_g6_each_answer_is_told_for_what_it_says(
    listed: Scripted, put: Scripted, found: dict[Question, Outcome]
) -> None:
    asked: list[str] = []
    with an_endpoint_that_answers({"ListStreams": listed, "PutRecord": put, "PutRecords": put}, asked) as url:
        answers = examine(a_destination(endpointUrl=url), ENVIRON)

    assert {answer.question: answer.outcome for answer in wrong(answers)} == found
    assert sorted(asked) == ["ListStreams", "PutRecord", "PutRecords"]


def listed(account_has: Scripted, put: Scripted, **changes: Any) -> list[Answer]:
    asked: list[str] = []
    with an_endpoint_that_answers({"ListStreams": account_has, "PutRecord": put, "PutRecords": put}, asked) as url:
        return examine(a_destination(endpointUrl=url, **changes), ENVIRON)


def of(answers: list[Answer], question: Question) -> Answer:
    return next(answer for answer in answers if answer.question is question)


@pytest.mark.parametrize(
    "code",
    [
        "KMSAccessDeniedException",
        "KMSDisabledException",
        "KMSInvalidStateException",
        "KMSNotFoundException",
        "KMSOptInRequired",
    ],
)
def test_g11_a_key_that_does_not_let_us_write_is_told_with_the_permission_and_the_remedy(code: str) -> None:
    stream = of(listed(THERE, error(code)), Question.STREAM)

    assert stream.outcome is Outcome.FAILED
    assert stream.text.startswith(f"encryption_key_unusable: {code}: the stream is encrypted with a customer's key")
    assert "kms:GenerateDataKey" in stream.text
    assert "allow the flow's credentials kms:GenerateDataKey on the stream's key" in stream.remedy


def test_g11_what_a_probe_cannot_show_of_a_key_is_said() -> None:
    put_records = of(listed(THERE, AUTHORISED), Question.PUT_RECORDS)

    assert put_records.outcome is Outcome.OK
    assert "a stream with a customer's key asks its writers for kms:GenerateDataKey as well" in put_records.text


ARN = f"arn:aws:kinesis:{REGION}:210987654321:stream/vip"
GONE = error("ResourceNotFoundException")
NONE_HERE = Scripted(200, b'{"StreamNames":[],"HasMoreStreams":false}')


@pytest.mark.parametrize("account_has", [THERE, BEING_MADE, NONE_HERE])
def test_g10_of_another_accounts_stream_the_probes_tell_since_the_list_of_streams_does_not(
    account_has: Scripted,
) -> None:
    """A stream of the same name in the own account says nothing, whatever its state."""
    answers = listed(account_has, AUTHORISED, streamArn=ARN)

    assert wrong(answers) == []
    assert (
        of(answers, Question.STREAM).text
        == "there, most likely; kinesis:ListStreams tells nothing of account 210987654321's streams"
    )


@pytest.mark.parametrize(
    ("put", "question", "outcome", "told", "remedy"),
    [
        (
            GONE,
            Question.STREAM,
            Outcome.FAILED,
            "account 210987654321 has no such stream in us-east-2",
            "ask that account",
        ),
        (
            DENIED,
            Question.PUT_RECORDS,
            Outcome.FAILED,
            "not allowed: no",
            "let account 210987654321 allow them in the stream's own policy",
        ),
        (
            DENIED,
            Question.STREAM,
            Outcome.UNKNOWN,
            "nobody tells; kinesis:ListStreams tells nothing of account 210987654321's streams",
            "",
        ),
    ],
)
def test_g10_what_is_wrong_with_another_accounts_stream_is_told_with_whom_to_ask(
    put: Scripted, question: Question, outcome: Outcome, told: str, remedy: str
) -> None:
    found = of(listed(NONE_HERE, put, streamArn=ARN), question)

    assert (found.outcome, found.text) == (outcome, told)
    assert remedy in found.remedy


def test_g10_the_probes_name_the_stream_as_records_will(each_kinesis: str) -> None:
    """With both endpoints, which know the ARNs of their own account's streams."""
    arn = create_stream(each_kinesis, REGION, "preflight-by-arn")

    answers = examine(a_destination(stream=None, region=None, streamArn=arn, endpointUrl=each_kinesis), ENVIRON)
    missing = examine(
        a_destination(stream=None, region=None, streamArn=f"{arn}-gone", endpointUrl=each_kinesis), ENVIRON
    )

    assert wrong(answers) == []
    assert (of(missing, Question.STREAM).outcome, wrong(missing)[0].question) == (Outcome.FAILED, Question.STREAM)
    assert read_stream(each_kinesis, REGION, "preflight-by-arn") == []


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """A Kinesis of its own that asks IAM; its stream is `vip`."""
    with KinesisEndpoint() as endpoint:
        create_stream(endpoint.url, REGION, "vip")
        yield endpoint.url


@contextmanager
def iam_asked(url: str) -> Iterator[None]:
    ask_iam(url)
    try:
        yield
    finally:
        ask_iam(url, UNASKED)


PERMISSIONS = (Question.LIST_STREAMS, Question.PUT_RECORD, Question.PUT_RECORDS)


@pytest.mark.parametrize("missing", [(), *((permission,) for permission in PERMISSIONS), PERMISSIONS])
def test_g6_a_policy_that_lacks_a_permission_is_told_which_and_nothing_else_is_needed(
    guarded: str, missing: tuple[Question, ...]
) -> None:
    environ = a_user(guarded, *(permission for permission in PERMISSIONS if permission not in missing))

    with iam_asked(guarded):
        answers = examine(
            a_destination(endpointUrl=guarded, credentials={**KEYS, "accessKeyId": "${ACCESS_KEY_ID}"}), environ
        )

    failed = {answer.question for answer in answers if answer.outcome is Outcome.FAILED}
    assert failed == set(missing)
    for answer in wrong(answers):
        assert environ["SECRET"] not in answer.text
        assert "<" not in answer.text
        if answer.question in missing:
            assert answer.question in answer.remedy
    assert read_stream(guarded, REGION, "vip") == []


def test_g6_g7_a_role_that_may_not_be_assumed_is_told_for_what_it_is(
    guarded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not as if ListStreams were not allowed."""
    user = a_user(guarded, "kinesis:*")
    for name, value in (
        ("ACCESS_KEY_ID", user["ACCESS_KEY_ID"]),
        ("SECRET_ACCESS_KEY", user["SECRET"]),
        ("ENDPOINT_URL_STS", guarded),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)

    with iam_asked(guarded):
        role = {"type": "role", "arn": "arn:aws:iam::123456789012:role/nobody"}
        (answer,) = examine(a_destination(endpointUrl=guarded, credentials=role), {})

    assert (answer.question, answer.outcome) == (Question.ACCESS, Outcome.FAILED)
    assert "sts:AssumeRole" in answer.text
    assert "sts:AssumeRole" in answer.remedy
