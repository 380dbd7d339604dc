"""The boto3 adapter against a server that answers from a script: what goes over the wire, and what comes back (G2, G4,
G7).
"""

import asyncio
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from processor.delivery.kinesis.client import KinesisOptions, KinesisStream, stream_opener
from processor.delivery.kinesis.faults import FaultKind, PauseReason
from processor.delivery.kinesis.responses import Classification, classify_response
from schemas.destination import Destination
from schemas.export import Export
from schemas.wire.exports import decode_export
from tests.delivery.fakes import export_record
from tests.delivery.loopback import SECRET, Loopback, Reply, Request, failure, success

pytestmark = [
    pytest.mark.usefixtures("no_aws_around"),
    pytest.mark.xdist_group("kinesis-stream"),  # the module's fixtures are made once
]

OPTIONS = KinesisOptions(calls_in_flight=2, connect_timeout_seconds=1.0, read_timeout_seconds=1.0)
ENVIRON = {"KINESIS_SECRET": SECRET, "KINESIS_ACCESS_KEY_ID": "AKIAFROMENV"}
KEYS = {"type": "keys", "accessKeyId": "AKIDEXAMPLE", "secretKey": "${KINESIS_SECRET}"}
PAGE, ELSEWHERE = b"<html>log in</html>", {"Location": "https://login.example.com/", "Content-Type": "text/html"}
ARN = "arn:aws:kinesis:us-east-2:210987654321:stream/profiles"
EXPORTS = [decode_export(export_record(offset, f"p-{offset}", value=b'{"n":%d}' % offset)) for offset in range(3)]


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Loopback]:
    with Loopback() as loopback:
        yield loopback


@pytest.fixture
def server(shared_server: Loopback) -> Loopback:
    shared_server.script = success
    shared_server.requests.clear()
    return shared_server


@pytest.fixture(scope="module")
def stream(shared_server: Loopback) -> Iterator[KinesisStream]:
    """Making a client takes a tenth of a second; those who only call share one."""
    opened = KinesisStream(a_destination(shared_server.url), OPTIONS, ENVIRON)
    yield opened
    opened.close()


def a_destination(url: str, credentials: dict[str, Any] | None = None) -> Destination:
    fields = {
        "type": "kinesis",
        "stream": "profiles",
        "region": "us-east-2",
        "endpointUrl": url,
        "credentials": credentials or KEYS,
    }
    return Destination.model_validate(fields)


async def put(
    url: str,
    exports: list[Export] = EXPORTS,
    credentials: dict[str, Any] | None = None,
    environ: dict[str, str] = ENVIRON,
) -> Classification:
    """The outcome of one call of a stream opened for it."""
    stream = KinesisStream(a_destination(url, credentials), OPTIONS, environ)
    outcome = await outcome_of(stream, exports)
    stream.close()
    return outcome


async def outcome_of(stream: KinesisStream, exports: list[Export] = EXPORTS) -> Classification:
    outcome: object
    try:
        outcome = await stream.put(exports)
    except Exception as error:
        outcome = error
    return classify_response(outcome, len(exports))


async def test_the_body_is_ours_and_the_signature_covers_it(server: Loopback) -> None:
    """Swapped in before the request is signed."""
    exports = [
        decode_export(
            export_record(
                1, value=b"\x00\xff", partition_key="Zoë 🜚", hash_key="170141183460469231731687303715884105728"
            )
        )
    ]

    outcome = await put(server.url, exports + EXPORTS)

    (request,) = server.requests
    assert outcome == Classification()
    assert request.signed_well
    assert request.headers["X-Amz-Target"] == "Kinesis_20131202.PutRecords"
    assert orjson.loads(request.body).keys() == {"StreamName", "Records"}
    assert orjson.loads(request.body)["StreamName"] == "profiles"
    first, *others = request.records
    assert b64decode(first.pop("Data")) == b"\x00\xff"
    assert first == {"PartitionKey": "Zoë 🜚", "ExplicitHashKey": "170141183460469231731687303715884105728"}
    assert [b64decode(record["Data"]) for record in others] == [export.value for export in EXPORTS]


async def test_g10_a_stream_that_is_named_by_its_arn_is_called_by_it_alone(server: Loopback) -> None:
    fields = {"type": "kinesis", "streamArn": ARN, "endpointUrl": server.url, "credentials": KEYS}
    stream = KinesisStream(Destination.model_validate(fields), OPTIONS, ENVIRON)

    outcome = await outcome_of(stream)
    stream.close()

    (request,) = server.requests
    assert outcome == Classification()
    assert request.signed_well
    assert "/us-east-2/kinesis/aws4_request" in request.headers["Authorization"]
    assert orjson.loads(request.body).keys() == {"StreamARN", "Records"}
    assert orjson.loads(request.body)["StreamARN"] == ARN


@pytest.mark.parametrize(("partition", "region", "host"), [
    ("aws", "eu-west-1", "210987654321.data-kinesis.eu-west-1.amazonaws.com"),
    ("aws-cn", "cn-north-1", "210987654321.data-kinesis.cn-north-1.amazonaws.com.cn"),
    ("aws-us-gov", "us-gov-west-1", "210987654321.data-kinesis.us-gov-west-1.amazonaws.com"),
])  # fmt: skip
async def test_g10_without_an_endpoint_the_owners_account_is_called_in_its_partition(
    server: Loopback, monkeypatch: pytest.MonkeyPatch, partition: str, region: str, host: str
) -> None:
    """As a proxy sees it, which is asked for the way there."""
    asked: list[str] = []

    def refuse(request: Request) -> Reply:
        asked.append(request.headers["Host"])
        return Reply(403)

    server.script = refuse
    monkeypatch.setenv("HTTPS_PROXY", server.url)
    fields = {
        "type": "kinesis",
        "streamArn": f"arn:{partition}:kinesis:{region}:210987654321:stream/profiles",
        "credentials": KEYS,
    }
    stream = KinesisStream(Destination.model_validate(fields), OPTIONS, ENVIRON)

    await outcome_of(stream)
    stream.close()

    assert asked == [f"{host}:443"]


@pytest.mark.parametrize(("status", "kind", "pause"), [
    (407, FaultKind.REFUSED, PauseReason.DESTINATION_UNUSABLE),
    (403, FaultKind.REFUSED, PauseReason.DESTINATION_UNUSABLE),
    (503, FaultKind.NOT_SENT, None),
])  # fmt: skip
@pytest.mark.parametrize(("scheme", "variable"), [("https", "HTTPS_PROXY"), ("http", "HTTP_PROXY")])
async def test_g11_a_proxy_that_wants_a_login_pauses_the_flow(
    server: Loopback,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    variable: str,
    status: int,
    kind: FaultKind,
    pause: PauseReason | None,
) -> None:
    """On the way to TLS the client asks it to connect; a call in clear goes through it, and its response cannot be told
    from the endpoint's.
    """
    monkeypatch.setenv(variable, server.url)
    server.script = lambda request: Reply(status)

    outcome = await put(f"{scheme}://kinesis.example.com")

    assert outcome.whole is not None
    if status == 407 or scheme == "https":
        assert (outcome.whole.kind, outcome.whole.pause, outcome.whole.code[:3]) == (
            kind,
            pause,
            str(status) if pause else "Pro",
        )
    assert "wants a login" in str(outcome.whole) or status != 407


async def test_the_check_of_the_signature_notices_another_secret(server: Loopback) -> None:
    await put(server.url, environ={"KINESIS_SECRET": "another"})

    assert not server.requests[0].signed_well


async def test_calls_of_one_stream_run_side_by_side_and_keep_their_responses_apart(
    server: Loopback, stream: KinesisStream
) -> None:
    responses = await asyncio.gather(*(stream.put(EXPORTS[:count]) for count in (1, 2, 3, 1, 2, 3)))

    assert [
        classify_response(response, count) for response, count in zip(responses, (1, 2, 3, 1, 2, 3), strict=True)
    ] == [Classification()] * 6
    assert all(request.signed_well for request in server.requests)


@pytest.mark.parametrize(
    ("reply", "kind", "pause"),
    [
        (failure(400, "ProvisionedThroughputExceededException"), FaultKind.THROTTLED, None),
        (
            failure(400, "com.amazonaws.kinesis#ResourceNotFoundException"),
            FaultKind.REFUSED,
            PauseReason.STREAM_NOT_FOUND,
        ),
        (failure(400, "AccessDeniedException"), FaultKind.REFUSED, PauseReason.ACCESS_DENIED),
        (failure(403, "InvalidSignatureException"), FaultKind.REFUSED, PauseReason.CREDENTIALS_REFUSED),
        (failure(400, "InvalidArgumentException"), FaultKind.REJECTED, None),
        (failure(500, "InternalFailure"), FaultKind.AMBIGUOUS, None),
        (Reply(503, b"<html>come back later</html>"), FaultKind.AMBIGUOUS, None),
        (Reply(500, b""), FaultKind.AMBIGUOUS, None),
        (Reply(413, b"<html>too large</html>"), FaultKind.REJECTED, None),
        (Reply(403, b"<html>log in</html>"), FaultKind.REFUSED, PauseReason.ACCESS_DENIED),
        (Reply(404, b"<html>no such page</html>"), FaultKind.REFUSED, PauseReason.DESTINATION_UNUSABLE),
        (failure(400, "NewException"), FaultKind.UNKNOWN, None),
        (failure(400, "SubscriptionRequiredException"), FaultKind.REFUSED, PauseReason.ACCESS_DENIED),
        (failure(400, "KMSAccessDeniedException"), FaultKind.REFUSED, PauseReason.ENCRYPTION_KEY_UNUSABLE),
        (failure(400, "KMSThrottlingException"), FaultKind.THROTTLED, None),
        *(
            (Reply(status, PAGE, headers=ELSEWHERE), FaultKind.REFUSED, PauseReason.DESTINATION_UNUSABLE)
            for status in (300, 301, 302, 303, 307, 308)
        ),
        (Reply(307, b"", headers=ELSEWHERE), FaultKind.REFUSED, PauseReason.DESTINATION_UNUSABLE),
        (Reply(407, PAGE), FaultKind.REFUSED, PauseReason.DESTINATION_UNUSABLE),
        (Reply(200, b""), FaultKind.AMBIGUOUS, None),
        (Reply(200, b"{}"), FaultKind.AMBIGUOUS, None),
        (Reply(200, b"null"), FaultKind.AMBIGUOUS, None),
        (Reply(200, b"<html>log in</html>"), FaultKind.AMBIGUOUS, None),
        (Reply(204, b""), FaultKind.AMBIGUOUS, None),
        (Reply(200, b'{"FailedRecordCount":0,"Rec', length=500), FaultKind.AMBIGUOUS, None),
        (Reply(200, None), FaultKind.AMBIGUOUS, None),
    ],
)
async def test_g4_every_response_is_one_call_on_the_wire_and_one_outcome(
    server: Loopback, stream: KinesisStream, reply: Reply, kind: FaultKind, pause: PauseReason | None
) -> None:
    """No retry inside the SDK, which would store a batch several times unseen."""
    server.script = lambda request: reply

    outcome = await outcome_of(stream)

    assert len(server.requests) == 1
    assert outcome.whole is not None
    assert (outcome.whole.kind, outcome.whole.pause) == (kind, pause)


async def test_g4_a_response_that_does_not_come_is_ambiguous_and_not_asked_for_twice(server: Loopback) -> None:
    hold = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(request: Request) -> Reply:
        asyncio.run_coroutine_threadsafe(hold.wait(), loop).result(10.0)
        return success(request)

    server.script = hang

    outcome = await put(server.url)
    hold.set()

    assert len(server.requests) == 1
    assert outcome.whole is not None
    assert (outcome.whole.kind, outcome.whole.code) == (FaultKind.AMBIGUOUS, "ReadTimeoutError")


async def test_g4_where_nobody_listens_nothing_was_sent() -> None:
    outcome = await put("http://127.0.0.1:1")

    assert outcome.whole is not None
    assert outcome.whole.kind is FaultKind.NOT_SENT


async def test_an_address_that_is_none_pauses_the_flow() -> None:
    outcome = await put("http://no_address")

    assert outcome.whole is not None
    assert outcome.whole.pause is PauseReason.DESTINATION_UNUSABLE


async def test_g7_a_secret_that_is_not_in_the_environment_pauses_the_flow_and_is_named(server: Loopback) -> None:
    outcome = await put(server.url, environ={})

    assert server.requests == []
    assert outcome.whole is not None
    assert (outcome.whole.kind, outcome.whole.pause) == (FaultKind.REFUSED, PauseReason.CREDENTIALS_MISSING)
    assert (
        outcome.whole.message
        == "KINESIS_SECRET is not set in the worker's environment or .env, nor KINESIS_SECRET_FILE"
    )


async def test_g7_a_worker_finds_a_secret_in_the_file_of_its_working_directory(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text(f"KINESIS_SECRET={SECRET}\n")
    stream = stream_opener(KinesisOptions(4, 5.0, 1.0))(a_destination(server.url))

    response = await stream.put(EXPORTS)
    stream.close()

    assert classify_response(response, len(EXPORTS)) == Classification()
    assert server.requests[0].signed_well


async def test_g7_a_secret_that_comes_later_is_found_by_the_same_stream(server: Loopback) -> None:
    environ: dict[str, str] = {}
    stream = KinesisStream(a_destination(server.url), OPTIONS, environ)
    with pytest.raises(Exception, match="KINESIS_SECRET"):
        await stream.put(EXPORTS)

    environ.update(ENVIRON)
    response = await stream.put(EXPORTS)
    stream.close()

    assert classify_response(response, len(EXPORTS)) == Classification()


async def test_g7_the_key_id_may_be_a_reference_too(server: Loopback) -> None:
    await put(server.url, credentials={**KEYS, "accessKeyId": "${KINESIS_ACCESS_KEY_ID}"})

    assert "Credential=AKIAFROMENV/" in server.requests[0].headers["Authorization"]


async def test_g7_the_default_chain_reads_the_environment(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEFAULT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)

    await put(server.url, credentials={"type": "default"})

    assert "Credential=AKIDEFAULT/" in server.requests[0].headers["Authorization"]
    assert server.requests[0].signed_well


@pytest.mark.parametrize(
    "credentials", [{"type": "default"}, {"type": "role", "arn": "arn:aws:iam::123456789012:role/exporter"}]
)
async def test_g7_without_any_credentials_the_flow_pauses(server: Loopback, credentials: dict[str, Any]) -> None:
    outcome = await put(server.url, credentials=credentials)

    assert outcome.whole is not None
    assert outcome.whole.pause is PauseReason.CREDENTIALS_MISSING


async def test_g7_a_profile_is_read_from_the_configuration_files(server: Loopback, tmp_path: Path) -> None:
    named = {"type": "profile", "name": "kinesis"}
    missing = await put(server.url, credentials=named)
    (tmp_path / "credentials").write_text(
        f"[kinesis]\naws_access_key_id = AKIPROFILE\naws_secret_access_key = {SECRET}\n"
    )

    found = await put(server.url, credentials=named)

    assert missing.whole is not None
    assert missing.whole.pause is PauseReason.CREDENTIALS_MISSING
    assert found == Classification()
    assert "Credential=AKIPROFILE/" in server.requests[0].headers["Authorization"]


STS_ANSWER = f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey><SessionToken>the-token</SessionToken>
<Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


async def test_g7_a_role_is_assumed_with_its_external_id_once_for_many_calls(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKISOURCE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "source-secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
    server.script = lambda request: (
        Reply(200, STS_ANSWER.encode()) if b"AssumeRole" in request.body else success(request)
    )
    role = {"type": "role", "arn": "arn:aws:iam::123456789012:role/exporter", "externalId": "ours-7"}
    stream = KinesisStream(a_destination(server.url, role), OPTIONS, {})

    for _ in range(2):
        assert classify_response(await stream.put(EXPORTS), len(EXPORTS)) == Classification()
    stream.close()

    assumed, *calls = server.requests
    assert b"ExternalId=ours-7" in assumed.body
    assert b"RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fexporter" in assumed.body
    assert [call.headers["X-Amz-Security-Token"] for call in calls] == ["the-token", "the-token"]
    assert all("Credential=ASIAROLE/" in call.headers["Authorization"] and call.signed_well for call in calls)


async def test_g7_a_role_that_may_not_be_assumed_pauses_the_flow(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKISOURCE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "source-secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
    denied = (
        b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not"
        b" you</Message></Error></ErrorResponse>"
    )
    server.script = lambda request: Reply(403, denied)

    outcome = await put(server.url, credentials={"type": "role", "arn": "arn:aws:iam::123456789012:role/exporter"})

    assert outcome.whole is not None
    assert (outcome.whole.pause, outcome.whole.message) == (PauseReason.ACCESS_DENIED, "not you")


async def test_the_settings_time_out_and_open_streams(server: Loopback) -> None:
    stream = stream_opener(KinesisOptions(4, 5.0, 1.0), ENVIRON)(a_destination(server.url))

    response = await stream.put(EXPORTS)
    stream.close()

    assert classify_response(response, len(EXPORTS)) == Classification()
