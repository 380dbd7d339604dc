"""The tour's screen: plain lines where nobody looks at a terminal."""

import io

import pytest
from rich.console import Console

from processor.demo.screen import Plain, Terminal
from processor.demo.steps import step
from processor.sandbox.errors import SandboxFailed
from processor.sandbox.waiting import wait_until


def plain() -> tuple[Plain, list[str]]:
    lines: list[str] = []
    return Plain(lines.append), lines


def test_a_table_is_columns_of_text() -> None:
    screen, lines = plain()

    screen.table(["flow", "records"], [["newsletter", "1,204"], ["crm", "9"]])

    assert lines == ["  flow        records", "  newsletter    1,204", "  crm               9"]


def test_a_result_says_in_its_first_word_whether_it_is_good() -> None:
    screen, lines = plain()

    screen.show_result("equal", good=True)
    screen.show_result("not equal", good=False)

    assert [line.strip() for line in lines] == ["OK: equal", "FAILED: not equal"]


def test_a_step_leaves_one_line_with_its_time() -> None:
    screen, lines = plain()

    with step(screen, "doing") as now:
        now.show_progress("half")
        now.done("done")

    assert len(lines) == 1
    assert lines[0].endswith(" s  done")


def test_a_step_that_fails_says_how_far_it_was() -> None:
    screen, lines = plain()

    def fail() -> None:
        with step(screen, "doing") as now:
            now.show_progress("3 of 4")
            raise SandboxFailed("too late")

    with pytest.raises(SandboxFailed, match=r"^too late: 3 of 4$"):
        fail()
    assert lines == []


def test_a_terminal_shows_text_as_it_is_also_where_it_looks_like_markup() -> None:
    written = io.StringIO()
    terminal = Terminal(Console(file=written, force_terminal=True, highlight=False, width=100))

    terminal.record("a [b] record", '{"list": [1]}', "left because: [nothing]")
    terminal.table(["a", "b"], [["[x]", "1"]])
    terminal.show_result("[all] equal", good=True)

    text = written.getvalue()
    for part in ("a [b] record", '{"list": [1]}', "[nothing]", "[x]", "[all] equal"):
        assert part in text


def test_waiting_ends_with_the_condition_or_the_deadline() -> None:
    answers = iter([False, False, True])

    wait_until(lambda: next(answers), "the third answer", seconds=5, poll_seconds=0.001)

    with pytest.raises(SandboxFailed, match="still waiting for what never comes"):
        wait_until(lambda: False, "what never comes", seconds=0.01, poll_seconds=0.001)
