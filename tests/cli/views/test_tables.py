"""Tables are drawn on a terminal and plain otherwise; what stands in them is text, never markup."""

import sys

import pytest

from processor.cli.views.tables import Table, print_table

TABLE = Table("flows", ["id", "name"], [["f", "[bold]VIPs[/bold]"], ["longer", "x"]])


def test_columns_are_aligned_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(TABLE)

    assert capsys.readouterr().out == "flows:\n  id      name\n  f       [bold]VIPs[/bold]\n  longer  x\n"


def test_a_terminal_gets_a_drawn_table_and_brackets_stay(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    print_table(TABLE)

    drawn = capsys.readouterr().out
    assert "━" in drawn
    assert "[bold]VIPs[/bold]" in drawn


def test_a_table_without_rows_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(Table("flows", ["id"], [], "none yet"))

    assert capsys.readouterr().out == "flows: none yet\n"
