"""Callers show tokens, and wait where they were wrong too often."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from processor.api.access import Access, Role, Token, read_tokens
from processor.api.errors import ApiError
from processor.api.serve import require_safe_address
from processor.catalog.state import Topic
from processor.foundation.errors import UsageError
from processor.foundation.secrets import Secrets
from processor.foundation.settings import Settings
from tests.api.conftest import Api
from tests.api.test_errors import NATIVE, code_of
from tests.api.tutorial import BASE

READER, WRITER = "reader's token", "writer's token"
CSV = {"content-type": "text/csv"}


def a_token(name: str, token: str, role: Role) -> Token:
    return Token(name=name, sha256=sha256(token.encode()).hexdigest(), role=role)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def guarded() -> Api:
    return Api(Secrets(), Access([a_token("ada", WRITER, Role.WRITE), a_token("bob", READER, Role.READ)], 3))


def test_a_token_is_wanted_for_everything_but_health(guarded: Api) -> None:
    for path in (f"{BASE}/flows", f"{BASE}/connectionSpecs", "/v1/flows"):
        assert code_of(guarded.get(path)) == "FLOW-9101-401"
    assert guarded.get("/health/live").status_code == guarded.get("/health/ready").status_code == 200


def test_a_reader_reads_and_a_writer_writes_under_his_name(guarded: Api) -> None:
    assert guarded.get("/v1/flows", headers=bearer(READER)).status_code == 200
    assert code_of(guarded.put("/v1/flows/vip", json=NATIVE, headers=bearer(READER))) == "FLOW-9102-403"
    assert guarded.put("/v1/flows/vip", json=NATIVE, headers=bearer(WRITER)).status_code == 200

    (audit,) = [record.value or b"" for topic, record in guarded.shared.records if topic is Topic.AUDIT_EVENTS]
    assert b'"who":"ada","via":"api","action":"created","kind":"flows","id":"vip","before":null' in audit


def test_an_upload_needs_a_writer_and_must_not_be_too_large(guarded: Api) -> None:
    path, too_large = "/v1/audiences/import?id=loyalty", b"x" * (guarded.services.uploads.most_bytes + 1)

    assert code_of(guarded.post(path, content=b"profileId", headers=bearer(READER) | CSV)) == "FLOW-9102-403"
    assert code_of(guarded.post(path, content=too_large, headers=bearer(WRITER) | CSV)) == "FLOW-9203-413"
    assert (
        code_of(guarded.post(path, content=b"profileId", headers=bearer(WRITER) | CSV)) == "FLOW-9302-503"
    )  # here is no Kafka


def test_after_too_many_refused_tokens_a_wrong_one_has_to_wait_and_the_right_one_never(guarded: Api) -> None:
    now = [0.0]
    access = Access([a_token("ada", WRITER, Role.WRITE)], 3, lambda: now[0])
    guarded.app.state.services = replace(guarded.services, access=access)

    wrong = [guarded.get("/v1/flows", headers=bearer("wrong")) for _ in range(4)]
    right = guarded.get("/v1/flows", headers=bearer(WRITER)).status_code
    now[0] = 61.0
    later = code_of(guarded.get("/v1/flows", headers=bearer("wrong")))

    assert [code_of(each) for each in wrong] == ["FLOW-9101-401"] * 3 + ["FLOW-9103-429"]
    assert wrong[-1].headers["retry-after"] == "60"
    assert (right, later) == (200, "FLOW-9101-401")


def test_no_other_origin_is_let_in(guarded: Api) -> None:
    answer = guarded.get("/v1/flows", headers=bearer(READER) | {"Origin": "https://evil.example"})

    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "rebound.example"},
        {"Host": "127.0.0.1.evil.example:8080"},
    ],
)
def test_without_a_token_no_web_page_gets_in_by_the_operators_browser(api: Api, headers: dict[str, str]) -> None:
    refused = api.post(f"{BASE}/flows/vip/action?op=disable", headers=headers | {"content-type": "text/plain"})
    here = api.get("/v1/flows", headers={"Host": "localhost:8080", "Origin": "http://127.0.0.1:9000"})

    assert (code_of(refused), here.status_code) == ("FLOW-9102-403", 200)


def test_refusals_are_counted_by_many_threads_at_once() -> None:
    now = [0.0]
    access = Access([a_token("ada", WRITER, Role.WRITE)], 1000, lambda: now[0])

    def call(number: int) -> None:
        now[0] += 61.0 if number % 50 == 0 else 0.0
        with pytest.raises(ApiError):
            access.caller("Bearer wrong", "one address")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(call, range(2000)))


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg]  # pydantic-settings' own argument


def test_without_a_token_only_this_machine_may_reach_it_and_without_tls_too() -> None:
    for host in ("127.0.0.1", "::1", "localhost"):
        require_safe_address(settings(), host)
    with pytest.raises(UsageError, match="PROFILE_EXPORTER_API_TOKEN"):
        require_safe_address(settings(), "0.0.0.0")
    with pytest.raises(UsageError, match="PROFILE_EXPORTER_API_TLS_CERTIFICATE_FILE"):
        require_safe_address(settings(api_token="t"), "0.0.0.0")
    require_safe_address(settings(api_token="t", api_allow_plaintext=True), "0.0.0.0")
    require_safe_address(
        settings(api_token="t", api_tls_certificate_file=Path("c"), api_tls_key_file=Path("k")), "10.0.0.1"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- {name: ada, sha256: abc, role: write}", "[0.sha256]"),
        ("- {name: ada, sha256: " + "a" * 64 + ", role: admin}", "[0.role]"),
        ("[]", "no token in it"),
        ("- {name: a, sha256: " + "a" * 64 + "}\n- {name: a, sha256: " + "b" * 64 + "}", "the same name twice: a"),
        (": :", "cannot be read as YAML"),
    ],
)
def test_a_faulty_file_of_tokens_is_told(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "tokens.yaml"
    file.write_text(text)

    with pytest.raises(UsageError) as refused:
        read_tokens(file)

    assert told in str(refused.value)
