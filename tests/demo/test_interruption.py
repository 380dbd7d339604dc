"""SIGTERM and Ctrl-C end the tour at its next check, and at once when they come again."""

import os
import signal
from contextlib import suppress

import pytest

from processor.demo.interruption import interruptible


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_raises_at_the_next_check_and_the_second_one_where_it_comes(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with interruptible() as check:
            check()
            os.kill(os.getpid(), number)

            with pytest.raises(SystemExit) as ended:
                check()
            assert ended.value.code == 128 + number
            with pytest.raises(SystemExit):
                os.kill(os.getpid(), number)
    finally:
        signal.signal(number, before)


def test_signals_are_as_before_when_it_is_over() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with suppress(SystemExit), interruptible():
        raise SystemExit

    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible() as check:
            os.kill(os.getpid(), signal.SIGINT)
            check()
    finally:
        signal.signal(signal.SIGINT, before)
