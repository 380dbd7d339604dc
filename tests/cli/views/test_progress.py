"""Long work shows how far it is: lines where there is no terminal, a bar where there is one."""

import pytest

from processor.cli.views.progress import progress


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("sending", 100) as report:
        report(1, 50)

    assert capsys.readouterr() == ("", "")


def test_long_work_says_now_and_then_on_stderr_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("sending", None, line_seconds=0.0) as report:
        report(7, 1234)

    assert capsys.readouterr() == ("", "sending 7 (1234 bytes read)\n")


def test_on_a_terminal_there_is_a_bar_that_goes_when_the_work_is_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)

    with progress("sending", 100, bar_seconds=0.0) as report:
        report(5, 50)

    out, err = capsys.readouterr()
    assert out == ""
    assert "bytes read" not in err
