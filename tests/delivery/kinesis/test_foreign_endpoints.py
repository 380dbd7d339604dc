"""Endpoints that only a flow names: which are called at all, what is sent there, and what comes back
(docs/control-api.md, "Endpoints").

A proxy on loopback stands for the way to other hosts, so nothing leaves this machine, and what would have been sent is
seen.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore
import pytest
from pydantic import ValidationError

from processor.api.serve import find_faults
from processor.delivery.kinesis.client import KinesisOptions, KinesisStream
from processor.delivery.kinesis.credentials import NO_SECRETS
from processor.delivery.kinesis.endpoints import ANY_ENDPOINT, ENDPOINT_HOSTS, EndpointRules, endpoint_rules
from processor.delivery.kinesis.faults import BrokenResponse, PauseReason
from processor.delivery.kinesis.preflight import examine
from processor.delivery.kinesis.responses import classify_response
from processor.delivery.kinesis.stream_list import list_streams
from processor.foundation.settings import Settings
from processor.foundation.settings_environment import env_name
from schemas.destination import Destination
from schemas.model import STORED
from tests.delivery.kinesis.test_credentials import EXPORTS
from tests.delivery.loopback import SECRET, Loopback, Reply

pytestmark = pytest.mark.usefixtures("no_aws_around")

ELSEWHERE = "http://192.0.2.10"  # RFC 5737: nobody's
KEYS = {"type": "keys", "accessKeyId": "AKIDOFFLOW", "secretKey": "${SECRET}"}
ENVIRON = {"SECRET": SECRET}
METADATA = [
    "http://169.254.169.254",
    "http://169.254.170.2/x",
    "http://[::ffff:169.254.169.254]",
    "http://[fe80::1]",
    "http://[fd00:ec2::254]",
]
METADATA += [
    "http://2852039166",
    "http://metadata.google.internal",
    "http://METADATA.google.internal.",
    "http://100.100.100.200",
]


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """All other hosts."""
    with Loopback() as server:
        monkeypatch.setenv("HTTP_PROXY", server.url)
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        yield server


@pytest.fixture
def of_a_role(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default chain finds credentials with a session token."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAROLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the-token")


def a_destination(url: str | None, credentials: dict[str, Any] | None = None) -> Destination:
    fields = {
        "type": "kinesis",
        "stream": "vip",
        "region": "us-east-2",
        "endpointUrl": url,
        "credentials": credentials or {"type": "default"},
    }
    return Destination.model_validate(fields)


def stored_destination(url: str) -> Destination:
    """As a flow has it that was put into force before such addresses were refused."""
    fields = {
        "type": "kinesis",
        "stream": "vip",
        "region": "us-east-2",
        "endpointUrl": url,
        "credentials": {"type": "default"},
    }
    return Destination.model_validate(fields, context=STORED)


async def pause_of(destination: Destination, rules: EndpointRules = ANY_ENDPOINT) -> tuple[PauseReason | None, str]:
    """What a worker makes of it: why it pauses the flow, and the words."""
    stream = KinesisStream(destination, KinesisOptions(1, 2.0, 5.0, endpoints=rules), ENVIRON)
    outcome: object
    try:
        outcome = await stream.put(EXPORTS)
    except Exception as error:
        outcome = error
    stream.close()
    fault = classify_response(outcome, 1).of(0)
    return (None, "") if fault is None else (fault.pause, fault.message)


@pytest.mark.parametrize("url", METADATA)
async def test_a_metadata_service_is_never_called(others: Loopback, url: str) -> None:
    pause, words = await pause_of(a_destination(url, KEYS))
    (answer,) = examine(a_destination(url, KEYS), ENVIRON)

    assert pause is PauseReason.DESTINATION_UNUSABLE
    assert "PROFILE_EXPORTER_ENDPOINT_HOSTS" in words
    assert "metadata service" in answer.text
    assert others.requests == []


async def test_a_host_that_an_operator_named_is_called_whatever_it_is(others: Loopback, of_a_role: None) -> None:
    hosts = Settings(_env_file=None, endpoint_hosts="169.254.169.254, *.example.com").endpoint_hosts  # type: ignore[call-arg]
    named = endpoint_rules(hosts)

    assert await pause_of(a_destination(METADATA[0]), named) == (None, "")
    assert [request.headers["X-Amz-Security-Token"] for request in others.requests] == ["the-token"]


@pytest.mark.parametrize("url", [ELSEWHERE, "http://127.0.0.1:1", "http://example.com", "http://aexample.com"])
async def test_where_hosts_are_named_no_other_is_called(others: Loopback, url: str) -> None:
    pause, words = await pause_of(a_destination(url, KEYS), EndpointRules(("*.example.com",)))

    assert pause is PauseReason.DESTINATION_UNUSABLE
    assert "is none of PROFILE_EXPORTER_ENDPOINT_HOSTS (*.example.com)" in words
    assert others.requests == []


async def test_a_session_token_is_not_sent_to_an_endpoint_that_only_a_flow_names(
    others: Loopback, of_a_role: None
) -> None:
    pause, words = await pause_of(a_destination(ELSEWHERE))
    (answer,) = examine(a_destination(ELSEWHERE), ENVIRON)

    assert pause is PauseReason.DESTINATION_UNUSABLE
    assert "session token" in words
    assert "PROFILE_EXPORTER_ENDPOINT_HOSTS" in answer.text
    assert others.requests == []


async def test_keys_of_the_flow_are_used_at_any_endpoint(others: Loopback) -> None:
    assert await pause_of(a_destination(ELSEWHERE, KEYS)) == (None, "")
    assert len(others.requests) == 1


async def test_this_machine_is_trusted_with_a_session_token(of_a_role: None) -> None:
    with Loopback() as server:
        assert await pause_of(a_destination(server.url)) == (None, "")
        assert server.requests[0].headers["X-Amz-Security-Token"] == "the-token"


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("kinesis.us-east-2.amazonaws.com", True),
        ("kinesis-fips.us-gov-west-1.amazonaws.com", True),
        ("kinesis.eu-central-1.api.aws", True),
        ("kinesis.cn-north-1.amazonaws.com.cn", True),
        ("123456789012.data-kinesis.us-east-2.amazonaws.com", True),
        ("vpce-0a1b-2c3d.kinesis.us-east-1.vpce.amazonaws.com", True),
        ("KINESIS.us-east-2.amazonaws.com.", True),
        ("foo.kinesis.s3.amazonaws.com", False),
        ("kinesis.us-east-2.elb.amazonaws.com", False),
        ("ec2-1-2-3-4.us-east-2.compute.amazonaws.com", False),
        ("kinesis.us-east-2.amazonaws.com.evil.example", False),
        ("evilkinesis.us-east-2.amazonaws.com", False),
        ("127.0.0.1", False),
    ],
)
def test_only_kinesis_itself_counts_as_aws(host: str, trusted: bool) -> None:
    assert ANY_ENDPOINT.trusts(a_destination(f"https://{host}:443/")) is trusted


SAID = b'{"__type":"AccessDeniedException<b>x","message":"INTERNAL page of somebody"}'
NAMES = b'{"StreamNames":["INTERNAL-name"],"HasMoreStreams":false}'


REPLIES = [
    Reply(403, SAID),
    Reply(200, NAMES),
    Reply(500, b"INTERNAL"),
    Reply(200, b"INTERNAL"),
    Reply(200, b"<html>INTERNAL"),
]


@pytest.mark.parametrize("reply", REPLIES)
def test_what_stands_at_an_address_that_a_caller_chose_is_not_told_to_him(
    monkeypatch: pytest.MonkeyPatch, reply: Reply
) -> None:
    monkeypatch.setenv("SECRET", SECRET)
    with Loopback() as server:
        server.script = lambda _: reply
        destination = a_destination(server.url, KEYS)

        told = find_faults(NO_SECRETS, ANY_ENDPOINT, destination, False)
        trusting = find_faults(NO_SECRETS, EndpointRules(("127.0.0.1",)), destination, False)

        asked = len(server.requests)

    assert told
    assert asked >= 2
    assert not any("INTERNAL" in text or "<b>" in text for text in told)
    assert reply.body not in (SAID, NAMES) or any("INTERNAL" in text for text in trusting)


def test_an_endpoint_whose_list_of_streams_never_ends_is_given_up() -> None:
    names = iter(range(1_000_000))

    class Endless:
        def list_streams(self, **arguments: Any) -> dict[str, Any]:
            return {"StreamNames": [f"s-{next(names)}"], "HasMoreStreams": True}

        def put_record(self, **arguments: Any) -> dict[str, Any]:
            raise AssertionError("nothing is written")

        put_records = put_record

    with pytest.raises(BrokenResponse, match="1000 pages"):
        list(list_streams(Endless()))


@pytest.mark.parametrize("hosts", ["http://a", "a b", "a/b", "*", "*a.example"])
def test_hosts_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch, hosts: str) -> None:
    with pytest.raises(ValueError, match="endpoint_hosts"):
        Settings(_env_file=None, endpoint_hosts=hosts)  # type: ignore[call-arg]


AWS = "kinesis.us-east-1.amazonaws.com"
TWO_HOSTS = [
    "http://127.0.0.1:{port}\\@" + AWS,
    "http://127.0.0.1:{port}\\." + AWS,
    "http://127.0.0.1:{port}/\\@" + AWS,
    "http://user@127.0.0.1:{port}",
    "http://" + AWS + "@127.0.0.1:{port}",
    "http://127.0.0.1:{port}\t@" + AWS,
    "http://127.0.0.1 :{port}",
    "http://127.0.0.1:{port}/\x7f",
    "http://kine\u017fis.us-east-1.amazonaws.com:{port}",
    "http://[::1",
    "http://[::1]x:{port}",
    "http://127.0.0.1:{port}0000",
    "http://:{port}",
    "http://?127.0.0.1:{port}",
]


@pytest.mark.parametrize("url", TWO_HOSTS)
async def test_an_address_that_programs_read_different_hosts_out_of_is_refused_and_where_stored_never_called(
    of_a_role: None, url: str
) -> None:
    """The client cuts a host at a backslash, urllib.parse at the last @: what is judged must be what is called."""
    with Loopback() as server:
        address = url.format(port=server.url.rpartition(":")[2])
        with pytest.raises(ValidationError, match="endpointUrl"):
            a_destination(address)
        stored = stored_destination(address)
        pause, words = await pause_of(stored)
        pause_where_named, _ = await pause_of(stored, EndpointRules(("127.0.0.1", AWS)))
        (answer,) = examine(stored, ENVIRON)

    assert (pause, pause_where_named) == (PauseReason.DESTINATION_UNUSABLE, PauseReason.DESTINATION_UNUSABLE)
    assert words.startswith("endpointUrl: ")
    assert "correct the flow" in answer.text
    assert not ANY_ENDPOINT.trusts(stored)
    assert find_faults(NO_SECRETS, ANY_ENDPOINT, stored, False)
    assert server.requests == []


@pytest.mark.parametrize("url", ["http://a%41b", "http://[fe80::1%25eth0]"])
async def test_an_address_that_the_client_reads_otherwise_than_we_do_is_never_called(
    others: Loopback, url: str
) -> None:
    pause, words = await pause_of(a_destination(url, KEYS), EndpointRules(("aab", "a%41b", "fe80::1%eth0")))

    assert pause is PauseReason.DESTINATION_UNUSABLE
    assert "the client would call" in words
    assert others.requests == []


def test_kinesis_counts_as_aws_in_every_partition_that_botocore_knows() -> None:
    partitions = json.loads((Path(botocore.__file__).parent / "data" / "partitions.json").read_text())["partitions"]
    regions = {
        each["id"]: next(region for region in each["regions"] if not region.endswith("global")) for each in partitions
    }
    hosts = [
        f"kinesis.{regions[each['id']]}.{each['outputs'][name]}"
        for each in partitions
        for name in ("dnsSuffix", "dualStackDnsSuffix")
    ]

    assert [host for host in hosts if not ANY_ENDPOINT.trusts(a_destination(f"https://{host}"))] == []
    assert "kinesis.us-iso-east-1.c2s.ic.gov" in hosts


@pytest.mark.parametrize(
    "hosts", ["localhost:4566", "a.example.com, localhost:4566", "*.example.com:443", "[::1]:4566"]
)
def test_a_host_with_a_port_is_refused_with_words_since_it_would_match_nothing(hosts: str) -> None:
    with pytest.raises(ValueError, match="is no host: name it without a port"):
        Settings(_env_file=None, endpoint_hosts=hosts)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("hosts", "url"),
    [
        ("Kinesis.Example.com.", "https://kinesis.example.com"),
        ("*.example.com.", "https://kinesis.example.com.:443/"),
        ("::1", "http://[::1]:4566"),
        ("[::1]", "http://[::1]:4566"),
        ("0:0:0:0:0:0:0:1", "http://[::1]:4566"),
        ("localhost", "http://localhost:4566"),
    ],
)
def test_a_host_that_is_named_is_trusted_however_it_is_spelled(hosts: str, url: str) -> None:
    rules = endpoint_rules(Settings(_env_file=None, endpoint_hosts=hosts).endpoint_hosts)  # type: ignore[call-arg]

    assert rules.trusts(a_destination(url))


def test_errors_name_the_variable_in_which_an_operator_names_hosts() -> None:
    assert env_name("endpoint_hosts") == ENDPOINT_HOSTS
