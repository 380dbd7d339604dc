"""One token for everybody, made again before it ends; the clock is the test's."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from structlog.testing import capture_logs

from processor.login.renewal import MOST_PAUSE_SECONDS, HeldToken, Tokens
from processor.login.token import Token, TokenUnavailable

LIFE = 100.0
RENEWED = 75.0
SECONDS = 20.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Source:
    """Gives token-1, token-2, …; or fails, as long as `failing`; each waits for `gate`."""

    def __init__(self) -> None:
        self.asked = 0
        self.failing: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def fetch(self) -> Token:
        self.asked += 1
        number = self.asked
        assert self.gate.wait(SECONDS)
        if self.failing is not None:
            raise self.failing
        return Token(f"token-{number}", LIFE, RENEWED)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as one:
        yield one


@pytest.fixture
def tokens(source: Source, clock: Clock, thread: ThreadPoolExecutor) -> Tokens:
    return Tokens(source, clock, thread)


def settled(tokens: Tokens, thread: ThreadPoolExecutor) -> HeldToken:
    """What is held once the renewal that is due, or under way, has ended."""
    tokens.get()
    thread.submit(lambda: None).result(SECONDS)
    return tokens.get()


def away(what: str = "the token endpoint is not reachable") -> TokenUnavailable:
    return TokenUnavailable(what, "look at it")


def test_everybody_gets_the_same_token_which_is_made_once(tokens: Tokens, source: Source) -> None:
    source.gate.clear()
    with ThreadPoolExecutor(20) as pool:
        asking = [pool.submit(tokens.get) for _ in range(20)]
        source.gate.set()
        texts = {each.result(SECONDS).text for each in asking}

    assert (texts, source.asked) == ({"token-1"}, 1)


def test_a_token_is_made_again_before_it_ends_and_nobody_waits_for_it(
    tokens: Tokens, source: Source, clock: Clock, thread: ThreadPoolExecutor
) -> None:
    tokens.get()
    clock.now += RENEWED - 1
    before = settled(tokens, thread).text
    clock.now += 1
    source.gate.clear()

    meanwhile = [tokens.get().text for _ in range(3)]
    source.gate.set()

    assert (before, meanwhile, settled(tokens, thread).text, source.asked) == ("token-1", ["token-1"] * 3, "token-2", 2)


def test_a_source_that_is_away_is_asked_more_and_more_rarely_while_the_old_token_holds(
    tokens: Tokens, source: Source, clock: Clock, thread: ThreadPoolExecutor
) -> None:
    tokens.get()
    clock.now += RENEWED
    source.failing = away()
    asked = []
    with capture_logs() as logs:
        for _ in range(20):
            asked.append(settled(tokens, thread).text)
            clock.now += 1

    assert set(asked) == {"token-1"}
    assert source.asked == 1 + 5  # after 0, 1, 3, 7 and 15 s
    assert {entry["event"] for entry in logs} == {"kafka_token_unavailable"}
    assert [entry["again_in_seconds"] for entry in logs] == [1, 2, 4, 8, 16]
    assert logs[0]["token_holds_seconds"] == LIFE - RENEWED
    assert (logs[0]["reason"], logs[0]["remedy"]) == ("the token endpoint is not reachable", "look at it")


def test_when_the_source_is_back_the_next_token_is_there_and_that_is_said(
    tokens: Tokens, source: Source, clock: Clock, thread: ThreadPoolExecutor
) -> None:
    tokens.get()
    clock.now += RENEWED
    source.failing = away()
    settled(tokens, thread)
    source.failing = None
    clock.now += 2

    with capture_logs() as logs:
        tokens.get()
        renewed = settled(tokens, thread)

    assert renewed.text == "token-3"
    assert logs == [{"event": "kafka_token_renewed", "after_failures": 1, "log_level": "info"}]


def test_after_its_end_nobody_gets_it_and_all_are_told_why_without_asking_each_time(
    tokens: Tokens, source: Source, clock: Clock
) -> None:
    tokens.get()
    clock.now += LIFE
    source.failing = away()

    said = []
    for _ in range(10):
        with pytest.raises(TokenUnavailable) as raised:
            tokens.get()
        said.append(raised.value.what)

    assert set(said) == {"the token endpoint is not reachable"}
    assert source.asked == 2


def test_while_the_first_token_is_not_there_whoever_asks_says_so_and_no_log(tokens: Tokens, source: Source) -> None:
    source.failing = away()

    with capture_logs() as logs, pytest.raises(TokenUnavailable):
        tokens.get()

    assert logs == []


def test_a_pause_has_an_end(tokens: Tokens, source: Source, clock: Clock) -> None:
    source.failing = away()
    for _ in range(40):
        with pytest.raises(TokenUnavailable):
            tokens.get()
        clock.now += MOST_PAUSE_SECONDS
    source.failing = None

    assert tokens.get().text == "token-41"


def test_a_fault_of_ours_is_told_and_the_next_try_comes_too(tokens: Tokens, source: Source, clock: Clock) -> None:
    tokens.get()
    clock.now += LIFE
    source.failing = ZeroDivisionError("s3cret")
    with capture_logs() as logs, pytest.raises(ZeroDivisionError):
        tokens.get()
    with pytest.raises(TokenUnavailable, match="ZeroDivisionError"):
        tokens.get()
    source.failing = None
    clock.now += 1

    assert tokens.get().text == "token-3"
    assert [entry["reason"] for entry in logs] == ["the next token cannot be made: ZeroDivisionError"]


@pytest.mark.parametrize(("passed", "next_question"), [(0.0, RENEWED), (50.0, 25.0), (90.0, 0.0)])
def test_whoever_holds_it_knows_when_to_ask_again(
    tokens: Tokens, clock: Clock, passed: float, next_question: float
) -> None:
    held = tokens.get()
    clock.now += passed

    assert tokens.seconds_to_next_question(held) == next_question
    assert tokens.seconds_left(held) == LIFE - passed


def test_a_token_is_not_shown(tokens: Tokens) -> None:
    assert "token-1" not in repr(tokens.get())
