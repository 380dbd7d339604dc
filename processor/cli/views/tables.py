"""Print tables on stdout: drawn by rich on a terminal, plain aligned columns otherwise."""

import sys
from collections.abc import Sequence
from typing import NamedTuple

import click


class Table(NamedTuple):
    """A title, the columns' names, and rows of as many texts; `empty` is printed where there are none."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    empty: str = "none"


def print_table(table: Table) -> None:
    """Write a table to stdout."""
    if not table.rows:
        click.echo(f"{table.title}: {table.empty}")
    elif sys.stdout.isatty():
        _draw(table)
    else:
        click.echo("\n".join([f"{table.title}:", *_aligned([table.columns, *table.rows])]))


def _draw(table: Table) -> None:
    from rich.console import Console  # noqa: PLC0415  # for a terminal alone
    from rich.table import Table as RichTable  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    drawn = RichTable(title=table.title, title_justify="left")
    for column in table.columns:
        drawn.add_column(column)
    for row in table.rows:
        drawn.add_row(*map(Text, row))  # as text: a [ in it is no markup
    Console().print(drawn)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
