"""How a destination is authorized (G7): roles, rotation without a restart, expiry as a pause, and no secret in any
log.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from processor.delivery.kinesis.client import KinesisOptions, KinesisStream
from processor.delivery.kinesis.credentials import open_session
from processor.delivery.kinesis.faults import PauseReason
from processor.delivery.kinesis.responses import Classification, classify_response
from processor.delivery.limits import DeliveryLimits
from processor.delivery.sink import Sink
from processor.sandbox.endpoint import KinesisEndpoint
from processor.sandbox.streams import create_stream, read_stream
from schemas.destination import Destination
from schemas.wire.exports import decode_export
from tests.delivery.aws import REGION, UNASKED, a_role, a_user, ask_iam, give
from tests.delivery.fakes import FakeDeadLetters, FakeDestinations, export_record, nowhere
from tests.delivery.loopback import SECRET, Loopback, Reply, Request, failure, success

pytestmark = [
    pytest.mark.usefixtures("no_aws_around"),
    pytest.mark.xdist_group("credentials"),  # the module's fixtures are made once
]

SECONDS = 120.0
REREAD = 0.5  # a machine that stands still for so long between reading and using would fail
OPTIONS = KinesisOptions(
    calls_in_flight=1, connect_timeout_seconds=2.0, read_timeout_seconds=5.0, reread_seconds=REREAD
)
ROLE = {"type": "role", "arn": "arn:aws:iam::123456789012:role/exporter"}
BY_REFERENCE = {"type": "keys", "accessKeyId": "${ACCESS_KEY_ID}", "secretKey": "${SECRET_KEY}"}
EXPORTS = [decode_export(export_record(1))]


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback() as loopback:
        yield loopback


def a_destination(url: str | None, credentials: dict[str, Any], region: str = REGION) -> Destination:
    fields = {"type": "kinesis", "stream": "vip", "region": region, "endpointUrl": url, "credentials": credentials}
    return Destination.model_validate(fields)


async def outcome_of(stream: KinesisStream) -> Classification:
    outcome: object
    try:
        outcome = await stream.put(EXPORTS)
    except Exception as error:
        outcome = error
    return classify_response(outcome, 1)


async def put(destination: Destination, environ: dict[str, str]) -> Classification:
    stream = KinesisStream(destination, OPTIONS, environ)
    outcome = await outcome_of(stream)
    stream.close()
    return outcome


def key_of(request: Request) -> str:
    """The access key id that it was signed with."""
    return request.headers["Authorization"].partition("Credential=")[2].partition("/")[0]


def pause_of(outcome: Classification) -> tuple[PauseReason | None, str]:
    assert outcome.whole is not None
    return outcome.whole.pause, outcome.whole.message


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """A Kinesis, an STS and an IAM of their own; the stream is `vip`."""
    with KinesisEndpoint() as endpoint:
        create_stream(endpoint.url, REGION, "vip")
        yield endpoint.url


@pytest.fixture
def guarded(moto: str) -> Iterator[str]:
    """IAM is asked only after `ask_iam`, and not beyond the test."""
    yield moto
    ask_iam(moto, UNASKED)


def a_sink(flows: dict[str, Destination], environ: dict[str, str]) -> Sink:
    return Sink(
        destinations=FakeDestinations(flows),
        open_stream=lambda destination: KinesisStream(destination, OPTIONS, environ),
        dead_letters=FakeDeadLetters(),
        parked=nowhere(),
        limits=DeliveryLimits(calls_in_flight=1, probe_seconds=0.5, park_after_seconds=3600.0),
        on_delivered=lambda partition, offset: None,
    )


# roles --------------------------------------------------------------------------------------------------------------


async def test_g7_a_role_is_assumed_and_its_policy_is_what_counts(
    guarded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With moto's STS and IAM: the user may do nothing but assume it."""
    user, role = a_user(guarded, "sts:AssumeRole"), a_role(guarded, "kinesis:PutRecords")
    for name, value in (
        ("ACCESS_KEY_ID", user["ACCESS_KEY_ID"]),
        ("SECRET_ACCESS_KEY", user["SECRET"]),
        ("ENDPOINT_URL_STS", guarded),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    ask_iam(guarded)

    alone = await put(a_destination(guarded, {"type": "default"}), {})
    as_role = await put(a_destination(guarded, {"type": "role", "arn": role, "externalId": "ours-7"}), {})

    assert pause_of(alone)[0] is PauseReason.ACCESS_DENIED
    assert as_role == Classification()


async def test_g4_a_permission_that_is_missing_pauses_the_flow_until_it_is_given(guarded: str) -> None:
    user, owner = a_user(guarded, "kinesis:ListStreams"), a_user(guarded, "iam:*")
    environ = {"ACCESS_KEY_ID": user["ACCESS_KEY_ID"], "SECRET_KEY": user["SECRET"]}
    before = len(read_stream(guarded, REGION, "vip"))
    ask_iam(guarded)
    sink = a_sink({"vip": a_destination(guarded, BY_REFERENCE)}, environ)
    run = asyncio.create_task(sink.run())

    await sink.take_over(0, 0, {})
    await sink.deliver(0, [export_record(1)], 2)
    await until(lambda: sink.status()["vip"].paused is PauseReason.ACCESS_DENIED)
    trouble = sink.status()["vip"].trouble
    await asyncio.to_thread(give, guarded, owner, user, "kinesis:PutRecords")
    assert await sink.drain(SECONDS)
    sink.stop()
    await run

    assert "kinesis:PutRecords" in str(trouble)
    ask_iam(guarded, UNASKED)
    assert len(read_stream(guarded, REGION, "vip")) == before + 1


class Sts:
    """Answers AssumeRole with a new key each time, good for so long; everything else is a success, unless `refuse`
    names the key.
    """

    def __init__(self, good_for: timedelta) -> None:
        self.good_for, self.assumed, self.refuse = good_for, 0, ""

    def __call__(self, request: Request) -> Reply:
        if b"Action=AssumeRole" not in request.body:
            return failure(400, "ExpiredTokenException") if key_of(request) == self.refuse else success(request)
        self.assumed += 1
        expires = (datetime.now(UTC) + self.good_for).strftime("%Y-%m-%dT%H:%M:%SZ")
        fields = (
            f"<AccessKeyId>ASIA{self.assumed}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>"
            "<SessionToken>the-token</SessionToken>"
        )
        credentials = f"<Credentials>{fields}<Expiration>{expires}</Expiration></Credentials>"
        return Reply(
            200, f"<AssumeRoleResponse><AssumeRoleResult>{credentials}</AssumeRoleResult></AssumeRoleResponse>".encode()
        )


def with_sts(server: Loopback, monkeypatch: pytest.MonkeyPatch, good_for: timedelta) -> Sts:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKISOURCE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "source-secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
    sts = server.script = Sts(good_for)
    return sts


async def test_g7_a_role_is_assumed_again_before_its_credentials_expire(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five minutes are too few to go on with (botocore asks anew from ten minutes on)."""
    sts = with_sts(server, monkeypatch, timedelta(minutes=5))
    stream = KinesisStream(a_destination(server.url, ROLE), OPTIONS, {})

    outcomes = [await outcome_of(stream) for _ in range(3)]
    stream.close()

    assert outcomes == [Classification()] * 3
    used = [
        int(key_of(request).removeprefix("ASIA")) for request in server.requests if b"AssumeRole" not in request.body
    ]
    assert len(set(used)) == 3
    assert used == sorted(used)
    assert used[-1] == sts.assumed


async def test_g7_a_role_whose_credentials_are_expired_when_they_come_pauses_the_flow(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_sts(server, monkeypatch, timedelta(minutes=-1))

    outcome = await put(a_destination(server.url, ROLE), {})

    reason, message = pause_of(outcome)
    assert reason is PauseReason.CREDENTIALS_REFUSED
    assert "is this machine's clock wrong?" in message


# rotation ------------------------------------------------------------------------------------------------------------


async def until_signed_with(server: Loopback, stream: KinesisStream, key: str) -> None:
    """Calls until one is signed with this key; all are signed well."""
    async with asyncio.timeout(SECONDS):
        while not server.requests or key_of(server.requests[-1]) != key:
            assert await outcome_of(stream) == Classification()
            await asyncio.sleep(REREAD / 20)
    assert server.requests[-1].signed_well


async def test_g7_a_key_in_files_that_the_environment_names_is_rotated_without_a_restart(
    server: Loopback, tmp_path: Path
) -> None:
    key, secret = tmp_path / "key", tmp_path / "secret"
    key.write_text("AKIOLD\n")
    secret.write_text(f"{SECRET}\n")
    stream = KinesisStream(
        a_destination(server.url, BY_REFERENCE),
        OPTIONS,
        {"ACCESS_KEY_ID_FILE": str(key), "SECRET_KEY_FILE": str(secret)},
    )

    await until_signed_with(server, stream, "AKIOLD")
    key.write_text("AKINEW\n")
    await until_signed_with(server, stream, "AKINEW")
    stream.close()


@pytest.mark.parametrize(
    ("credentials", "section"), [({"type": "profile", "name": "kinesis"}, "kinesis"), ({"type": "default"}, "default")]
)
async def test_g7_a_key_in_boto3s_files_is_rotated_without_a_restart(
    server: Loopback, tmp_path: Path, credentials: dict[str, Any], section: str
) -> None:
    def write(key: str) -> None:
        (tmp_path / "new").write_text(f"[{section}]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET}\n")
        (tmp_path / "new").replace(tmp_path / "credentials")

    write("AKIOLD")
    stream = KinesisStream(a_destination(server.url, credentials), OPTIONS, {})
    await until_signed_with(server, stream, "AKIOLD")
    write("AKINEW")
    await until_signed_with(server, stream, "AKINEW")
    stream.close()


@pytest.mark.parametrize(
    ("environ", "reason", "told"),
    [
        (
            {},
            PauseReason.CREDENTIALS_MISSING,
            "ACCESS_KEY_ID is not set in the worker's environment or .env, nor ACCESS_KEY_ID_FILE",
        ),
        (
            {"ACCESS_KEY_ID_FILE": "/nowhere"},
            PauseReason.CREDENTIALS_MISSING,
            "ACCESS_KEY_ID_FILE: /nowhere cannot be read: No such file",
        ),
        (
            {"ACCESS_KEY_ID_FILE": os.devnull},
            PauseReason.CREDENTIALS_MISSING,
            f"ACCESS_KEY_ID_FILE: {os.devnull} is empty",
        ),
        (
            {"ACCESS_KEY_ID": "AKI\n", "SECRET_KEY": SECRET},
            PauseReason.CREDENTIALS_REFUSED,
            "the access key id holds a character",
        ),
        (
            {"ACCESS_KEY_ID": "AKI", "SECRET_KEY": f"{SECRET} "},
            PauseReason.CREDENTIALS_REFUSED,
            "the secret key holds a character",
        ),
    ],
)
async def test_g7_credentials_that_cannot_be_used_pause_the_flow_and_are_told_without_themselves(
    environ: dict[str, str], reason: PauseReason, told: str
) -> None:
    found, message = pause_of(await put(a_destination("http://127.0.0.1:1", BY_REFERENCE), environ))

    assert found is reason
    assert told in message
    assert SECRET not in message


async def test_g7_a_profile_that_holds_no_credentials_pauses_the_flow(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[profile kinesis]\nregion = us-east-2\n")

    assert (
        pause_of(await put(a_destination("http://127.0.0.1:1", {"type": "profile", "name": "kinesis"}), {}))[0]
        is PauseReason.CREDENTIALS_MISSING
    )


# expiry --------------------------------------------------------------------------------------------------------------


async def test_g4_g7_an_expired_token_pauses_its_flow_with_the_reason_and_a_new_one_resumes_it(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role's first credentials are refused before they expire by the clock; every probe begins with a new
    session.
    """
    sts = with_sts(server, monkeypatch, timedelta(hours=1))
    sts.refuse = "ASIA1"
    keys = {"type": "keys", "accessKeyId": "AKIOTHER", "secretKey": "${SECRET}"}
    sink = a_sink(
        {"vip": a_destination(server.url, ROLE), "other": a_destination(server.url, keys)}, {"SECRET": SECRET}
    )
    run = asyncio.create_task(sink.run())

    await sink.take_over(0, 0, {})
    await sink.deliver(0, [export_record(offset, flow=("vip", "other")[offset % 2]) for offset in range(6)], 6)
    await until(lambda: sink.status()["vip"].paused is PauseReason.CREDENTIALS_REFUSED)
    paused = sink.status()["vip"]
    await until(lambda: sink.status()["other"].waiting == 0)
    assert await sink.drain(SECONDS)
    sink.stop()
    await run

    assert (paused.delivered, paused.trouble) == (0, "ExpiredTokenException: said so")
    assert (sink.status()["vip"].delivered, sink.status()["vip"].paused) == (3, None)
    assert sts.assumed == 2


# endpoints -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "endpoint"),
    [
        ({}, "https://kinesis.us-east-2.amazonaws.com"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "https://kinesis-fips.us-east-2.amazonaws.com"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "https://kinesis.us-east-2.api.aws"),
        (
            {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true"},
            "https://kinesis-fips.us-east-2.api.aws",
        ),
        ({"AWS_ENDPOINT_URL_KINESIS": "https://vpce-1.example.org"}, "https://vpce-1.example.org"),
    ],
)
def test_g7_boto3s_own_settings_choose_the_endpoint(
    monkeypatch: pytest.MonkeyPatch, setting: dict[str, str], endpoint: str
) -> None:
    for name, value in setting.items():
        monkeypatch.setenv(name, value)

    session = open_session(
        a_destination(None, {"type": "keys", "accessKeyId": "a", "secretKey": "${S}"}), {"S": SECRET}
    )

    assert session.client("kinesis", endpoint_url=None).meta.endpoint_url == endpoint


async def test_g7_the_endpoint_that_the_flow_names_wins_over_them(
    monkeypatch: pytest.MonkeyPatch, server: Loopback
) -> None:
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", "http://127.0.0.1:1")

    outcome = await put(
        a_destination(server.url, {"type": "keys", "accessKeyId": "a", "secretKey": "${S}"}), {"S": SECRET}
    )

    assert outcome == Classification()
    assert len(server.requests) == 1


# secrets -------------------------------------------------------------------------------------------------------------

LOGGING = """
import asyncio, json, os, sys
from processor.foundation import log
from processor.delivery.kinesis.responses import classify_response
from schemas.wire.exports import decode_export
from processor.delivery.kinesis.client import KinesisOptions, KinesisStream
from processor.foundation.settings import Settings
from schemas.destination import Destination
from tests.delivery.fakes import export_record
import structlog

log.configure(Settings(log_level="debug", log_format="json"))

async def put(destination):
    stream = KinesisStream(Destination.model_validate(destination), KinesisOptions(1, 1.0, 1.0), os.environ)
    try:
        outcome = await stream.put([decode_export(export_record(1))])
    except Exception as error:
        outcome = error
        structlog.get_logger().error("raised", exc_info=error)
    structlog.get_logger().info("judged", outcome=str(classify_response(outcome, 1)), stream=repr(stream))

for destination in json.loads(sys.argv[1]):
    asyncio.run(put(destination))
"""


def test_g7_a_secret_is_in_no_log_whatever_happens_and_however_much_is_logged(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delivered, refused, not sent and not sendable, with a key and with a role; the level is debug, the endpoint
    speaks of everything.
    """
    sts = with_sts(server, monkeypatch, timedelta(hours=1))
    sts.refuse = "AKIREFUSED"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "source-secret")
    monkeypatch.setenv("S", SECRET)
    monkeypatch.setenv("S_BAD", f"{SECRET}\n")
    pairs = (("AKI", "${S}"), ("AKIREFUSED", "${S}"), ("AKI", "${S_BAD}"))
    keys = [{"type": "keys", "accessKeyId": key, "secretKey": secret} for key, secret in pairs]
    places = [(server.url, credentials) for credentials in (*keys, ROLE)] + [("http://127.0.0.1:1", keys[0])]
    destinations = [
        a_destination(url, credentials).model_dump(mode="json", by_alias=True) for url, credentials in places
    ]

    done = subprocess.run(
        [sys.executable, "-c", LOGGING, orjson.dumps(destinations).decode()],
        capture_output=True, text=True, check=False, timeout=60, cwd=Path(__file__).parents[3],
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("judged") == len(destinations)
    assert len([request for request in server.requests if b"AssumeRole" not in request.body]) == 3
    for secret in (SECRET, "source-secret", "the-token"):
        assert secret not in done.stderr + done.stdout
