"""Decisions about processes that ended: started again after a while, or the reason for all to stop."""

import signal

import pytest

from processor.foundation.errors import CommandError, StoppedForOperator, UsageError
from processor.supervisor.decisions import (
    FIRST_SECONDS,
    MOST_SECONDS,
    STEADY_SECONDS,
    End,
    StartAgain,
    StopAll,
    decide_after,
    describe_end,
    find_fault,
    pick_reason,
)

KILLED = -signal.SIGKILL


@pytest.mark.parametrize("code", [0, 1, 120, 255, KILLED, -signal.SIGSEGV, -signal.SIGTERM])
def test_a_process_that_ended_by_itself_is_started_again(code: int) -> None:
    assert decide_after(End(1, code, ran_seconds=0)) == StartAgain(FIRST_SECONDS, short_lives=1)


def test_a_process_that_fails_again_and_again_is_started_again_later_and_later_but_never_given_up() -> None:
    waits, short_lives = [], 0
    for _ in range(200):
        decision = decide_after(End(1, 1, ran_seconds=2.0, short_lives=short_lives))
        assert isinstance(decision, StartAgain)
        waits.append(decision.after_seconds)
        short_lives = decision.short_lives

    assert waits[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert set(waits[8:]) == {MOST_SECONDS}


def test_a_process_that_ran_for_a_while_is_started_again_soon() -> None:
    decision = decide_after(End(1, KILLED, ran_seconds=STEADY_SECONDS, short_lives=9))

    assert decision == StartAgain(FIRST_SECONDS, short_lives=1)


@pytest.mark.parametrize(("code", "kind"), [(2, UsageError), (3, StoppedForOperator)])
def test_what_another_start_does_not_change_stops_all_with_the_code_and_the_words_of_the_process(
    code: int, kind: type[CommandError]
) -> None:
    decision = decide_after(End(2, code, ran_seconds=900, words="the place: what happened\n  the remedy"))

    assert isinstance(decision, StopAll)
    assert type(decision.reason) is kind
    assert decision.reason.exit_code == code
    assert str(decision.reason) == "process 2: the place: what happened\n  the remedy"


def test_a_process_that_left_no_word_is_named_with_its_exit_code() -> None:
    decision = decide_after(End(2, 3, ran_seconds=1))

    assert isinstance(decision, StopAll)
    assert str(decision.reason).startswith("process 2: it ended with exit code 3 and left no word\n")


@pytest.mark.parametrize("code", [0, -signal.SIGTERM])
def test_a_process_that_stopped_when_it_was_told_to_has_no_fault(code: int) -> None:
    assert find_fault(End(1, code, 5), killed_after=None) is None


@pytest.mark.parametrize(
    ("code", "killed_after", "exit_code", "words"),
    [
        (1, None, 1, "process 2 ended with exit code 1 while it stopped"),
        (-signal.SIGSEGV, None, 1, "process 2 was ended by SIGSEGV while it stopped"),
        (KILLED, 70.0, 1, "process 2 did not end within 70 s of SIGTERM, and was killed"),
        (3, None, 3, "process 2: the words"),
    ],
)
def test_a_process_that_did_not_stop_in_order_is_a_fault_in_words(
    code: int, killed_after: float | None, exit_code: int, words: str
) -> None:
    fault = find_fault(End(2, code, 5, words="the words"), killed_after)

    assert fault is not None
    assert fault.exit_code == exit_code
    assert str(fault).startswith(words)


def test_the_supervisor_ends_with_what_needs_the_operator_first_then_with_what_came_first() -> None:
    failed, wrong, stopped = CommandError("failed"), UsageError("wrong"), StoppedForOperator("stopped")

    assert pick_reason([]) is None
    assert pick_reason([failed, CommandError("later")]) is failed
    assert pick_reason([failed, stopped, wrong]) is stopped
    assert pick_reason([wrong, stopped]) is wrong


def test_ends_are_described_in_words() -> None:
    assert describe_end(1) == "ended with exit code 1"
    assert describe_end(KILLED) == "was ended by SIGKILL"
    assert describe_end(-250) == "was ended by signal 250"
