"""Tokens for MSK, field by field against their published form: a presigned call of kafka-cluster:Connect, in base64url.

The form: https://github.com/aws/aws-msk-iam-auth, "Details"; the signature: AWS's "Signature Version 4", computed here
without botocore.
"""

import hashlib
import hmac
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from processor.login.msk import MskSigner, Role
from processor.login.token import TokenUnavailable
from processor.sandbox.endpoint import KinesisEndpoint
from tests.delivery.aws import UNASKED, a_role, a_user, ask_iam
from tests.delivery.conftest import no_aws_around

__all__ = ["no_aws_around"]
pytestmark = [pytest.mark.usefixtures("no_aws_around"), pytest.mark.xdist_group("credentials")]

REGION = "eu-central-1"
KEY_ID, SECRET, SESSION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "FwoG/session+token=="
LIFE = 900


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with KinesisEndpoint() as endpoint:
        yield endpoint.url


@pytest.fixture
def guarded(moto: str) -> Iterator[str]:
    """IAM is asked only after `ask_iam`, and not beyond the test."""
    yield moto
    ask_iam(moto, UNASKED)


def call_of(token: str) -> tuple[str, dict[str, str]]:
    """The address that the token is, without its query, and the query."""
    assert "=" not in token
    url = urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
    assert len(pairs) == len(dict(pairs))
    return f"{parts.scheme}://{parts.netloc}{parts.path}", dict(pairs)


def signature(query: dict[str, str], secret: str, region: str) -> str:
    """As Signature Version 4 has it, of everything but the signature and what the signer adds afterwards."""
    signed = {name: value for name, value in query.items() if name not in ("X-Amz-Signature", "User-Agent")}
    canonical_query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(signed.items())
    )
    empty = hashlib.sha256(b"").hexdigest()
    request = "\n".join(["GET", "/", canonical_query, f"host:kafka.{region}.amazonaws.com\n", "host", empty])
    day = query["X-Amz-Date"][:8]
    scope = f"{day}/{region}/kafka-cluster/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", query["X-Amz-Date"], scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in (day, region, "kafka-cluster", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("session_token", [None, SESSION])
def test_a_token_is_a_presigned_call_of_connect_in_its_published_form(
    monkeypatch: pytest.MonkeyPatch, session_token: str | None
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    if session_token is not None:
        monkeypatch.setenv("AWS_SESSION_TOKEN", session_token)

    token = MskSigner(REGION).fetch()

    address, query = call_of(token.text)
    signed_at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    assert address == f"https://kafka.{REGION}.amazonaws.com/"
    assert query == {
        "Action": "kafka-cluster:Connect",
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{KEY_ID}/{query['X-Amz-Date'][:8]}/{REGION}/kafka-cluster/aws4_request",
        "X-Amz-Date": query["X-Amz-Date"],
        "X-Amz-Expires": str(LIFE),
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": signature(query, SECRET, REGION),
        "User-Agent": f"aws-msk-iam-sasl-signer-python/{version('aws-msk-iam-sasl-signer-python')}",
    } | ({} if session_token is None else {"X-Amz-Security-Token": session_token})
    assert abs(time.time() - signed_at) < 60
    assert LIFE - 60 < token.life_seconds <= LIFE
    assert token.renew_seconds == pytest.approx(0.75 * token.life_seconds)


def test_a_profile_is_another_key_and_a_key_that_is_changed_is_used_by_the_next_token(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text(f"[other]\naws_access_key_id = FIRST\naws_secret_access_key = {SECRET}\n")
    signer = MskSigner(REGION, profile="other")

    first = call_of(signer.fetch().text)[1]["X-Amz-Credential"]
    (tmp_path / "credentials").write_text(f"[other]\naws_access_key_id = SECOND\naws_secret_access_key = {SECRET}\n")
    second = call_of(signer.fetch().text)[1]["X-Amz-Credential"]

    assert (first.partition("/")[0], second.partition("/")[0]) == ("FIRST", "SECOND")


def test_a_role_is_assumed_with_its_external_id_and_signs(guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With moto's STS and IAM: the user may do nothing but assume it."""
    user, role = a_user(guarded, "sts:AssumeRole"), a_role(guarded, "kafka-cluster:Connect")
    for name, value in (
        ("ACCESS_KEY_ID", user["ACCESS_KEY_ID"]),
        ("SECRET_ACCESS_KEY", user["SECRET"]),
        ("ENDPOINT_URL_STS", guarded),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    ask_iam(guarded)

    _, query = call_of(MskSigner(REGION, role=Role(role, "ours-7", "exporter-eu")).fetch().text)

    key_id = query["X-Amz-Credential"].partition("/")[0]
    assert key_id.startswith("ASIA")
    assert key_id != user["ACCESS_KEY_ID"]
    assert query["X-Amz-Security-Token"]


def test_a_role_that_may_not_be_assumed_is_named_with_what_to_allow(
    guarded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, role = a_user(guarded), a_role(guarded, "kafka-cluster:Connect")
    for name, value in (
        ("ACCESS_KEY_ID", user["ACCESS_KEY_ID"]),
        ("SECRET_ACCESS_KEY", user["SECRET"]),
        ("ENDPOINT_URL_STS", guarded),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    ask_iam(guarded)

    error = unavailable(MskSigner(REGION, role=Role(role)))

    assert f"the role {role} cannot be assumed: AccessDenied" in error.what
    assert "sts:AssumeRole" in error.remedy
    assert user["SECRET"] not in error.what + error.remedy


def test_without_credentials_a_profile_or_an_sts_that_answers_each_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = unavailable(MskSigner(REGION))
    no_profile = unavailable(MskSigner(REGION, profile="missing"))
    for name, value in (
        ("ACCESS_KEY_ID", KEY_ID),
        ("SECRET_ACCESS_KEY", SECRET),
        ("ENDPOINT_URL_STS", "http://127.0.0.1:1"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    away = unavailable(MskSigner(REGION, role=Role("arn:aws:iam::123456789012:role/exporter")))

    assert nothing.what == "there are no AWS credentials to sign with"
    assert no_profile.what == "the AWS configuration files have no profile missing"
    assert "Could not connect to the endpoint URL" in away.what
    assert SECRET not in away.what


def unavailable(signer: MskSigner) -> TokenUnavailable:
    with pytest.raises(TokenUnavailable) as raised:
        signer.fetch()
    assert raised.value.remedy
    return raised.value
