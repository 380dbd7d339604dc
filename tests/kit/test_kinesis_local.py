"""Tests of the second endpoint: where it cannot be had, what npm takes for it, who reaches it."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import second_endpoint
from tests.kit import kinesis_local as kit
from tests.kit.kinesis_local import KinesisLocal, KinesisLocalUnavailable


@pytest.fixture
def nothing_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the folder where it would be fetched to."""
    monkeypatch.setattr(kit, "TOOLS", tmp_path / ".tools")
    return tmp_path / ".tools"


def test_without_node_or_npm_its_tests_are_skipped_aloud(
    nothing_fetched: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with (
        pytest.raises(pytest.skip.Exception, match="NO KINESIS-LOCAL, NOT TESTED: `node` is missing"),
        second_endpoint(),
    ):
        pass
    with pytest.raises(KinesisLocalUnavailable, match="`npm` is missing"):
        kit.kinesis_local()


def test_a_package_of_another_hash_is_not_taken(
    kinesis_local: str, nothing_fetched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit, "INTEGRITY", kit.INTEGRITY.replace("sha512-m", "sha512-n"))

    with pytest.raises(KinesisLocalUnavailable, match=f"kinesis-local {kit.VERSION} could not be fetched"):
        kit.kinesis_local()

    assert [path.name for path in nothing_fetched.iterdir()] == ["kinesis-local.lock"]


def test_it_listens_on_loopback_alone_and_ends_with_its_context(kinesis_local: str) -> None:
    """127.0.0.2 is this machine too: whoever listens on every address answers there (ip(7))."""
    with KinesisLocal() as endpoint:
        port = urlsplit(endpoint.url).port
        socket.create_connection(("127.0.0.1", port), 1.0).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), 1.0)

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1.0)
