"""A file with a token that somebody else renews."""

import time
from math import inf
from pathlib import Path

import pytest

from processor.login.jwt import end_of
from processor.login.token import TokenUnavailable
from processor.login.token_file import REREAD_SECONDS, TokenFile
from tests.kit.tokens import Signer


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


def unavailable(path: Path) -> TokenUnavailable:
    with pytest.raises(TokenUnavailable) as raised:
        TokenFile(path).fetch()
    assert str(path) in raised.value.what
    assert raised.value.remedy
    return raised.value


def test_a_token_holds_as_long_as_it_says_and_the_file_is_read_again_soon(signer: Signer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(signer.jwt(3600) + "\n")

    token = TokenFile(file).fetch()

    assert 3500 < token.life_seconds <= 3600
    assert token.renew_seconds == REREAD_SECONDS


def test_the_file_is_read_again_before_its_token_ends(signer: Signer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(signer.jwt(8))

    token = TokenFile(file).fetch()

    assert token.renew_seconds == pytest.approx(0.75 * token.life_seconds)


def test_what_is_no_jwt_holds_for_ever(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("  opaque-token\r\n")

    assert TokenFile(file).fetch().text == "opaque-token"
    assert TokenFile(file).fetch().life_seconds == inf


def test_a_token_that_ended_is_told_with_since_when(signer: Signer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(ended := signer.jwt(-60))

    error = unavailable(file)

    assert "its token ended 6" in error.what
    assert ended not in error.what


@pytest.mark.parametrize("content", [b"", b"Bearer abc", b'{"access_token": "abc"}', b"one\ntwo"])
def test_what_is_not_the_token_alone_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)

    error = unavailable(file)

    assert "cannot be sent" in error.what
    assert "abc" not in error.what + error.remedy


def test_a_file_that_is_not_there_or_not_text_is_told(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")

    assert "cannot be read: No such file or directory" in unavailable(tmp_path / "missing").what
    assert "not ASCII" in unavailable(binary).what
    assert "cannot be read: Is a directory" in unavailable(tmp_path).what


@pytest.mark.parametrize(
    "text",
    [
        "opaque",
        "a.b",
        "a.b.c",
        "..",
        "a.W10.c",
        "a.bm8.c",
        "a.eyJleHAiOiB0cnVlfQ.c",
        "a.eyJleHAiOiAxZTk5OX0.c",
        "é.é.é",
    ],
)
def test_what_says_no_end_has_none(text: str) -> None:
    """W10 is [], bm8 is no, the longer ones are {"exp": true} and {"exp": 1e999}."""
    assert end_of(text) is None


def test_the_end_of_a_jwt_is_its_exp(signer: Signer) -> None:
    end = end_of(signer.jwt(100))

    assert end is not None
    assert end == pytest.approx(time.time() + 100, abs=60)
