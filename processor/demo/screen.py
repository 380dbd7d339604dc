"""Show the tour on stdout: tables and panels on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Final, Protocol

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

Row = Sequence[str]
Update = Callable[[str], None]

_WIDEST: Final = 120


class Screen(Protocol):
    """The screen of the tour."""

    def title(self, text: str) -> None:
        """Show the title of a part."""

    def line(self, text: str) -> None:
        """Show a line about what is so, or has been done."""

    def waiting(self, text: str) -> AbstractContextManager[Update]:
        """Show that something takes a while; what it yields is called with how far it is."""
        ...

    def record(self, title: str, text: str, reason: str) -> None:
        """Show a record in full, and why it is there."""

    def table(self, header: Row, rows: Sequence[Row]) -> None:
        """Show a small table; all columns but the first are numbers."""

    def show_result(self, text: str, *, good: bool) -> None:
        """Show the result of the tour."""


def open_screen() -> Screen:
    """Return the screen for this process' stdout."""
    console = Console(highlight=False)
    return Terminal(console) if console.is_terminal else Plain(partial(print, flush=True))


class Plain:
    """A screen of plain lines, for a file, a pipe or a log."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def title(self, text: str) -> None:
        """Write a title after an empty line."""
        self._write(f"\n{text}")

    def line(self, text: str) -> None:
        """Write an indented line."""
        self._write(f"  {text}")

    @contextmanager
    def waiting(self, text: str) -> Iterator[Update]:  # noqa: ARG002  # the signature is Screen's
        """Show nothing: the outcome has a line afterwards."""
        yield lambda _: None

    def record(self, title: str, text: str, reason: str) -> None:
        """Write a record as indented lines."""
        for line in (title, *(f"  {line}" for line in text.splitlines()), f"  {reason}", ""):
            self.line(line)

    def table(self, header: Row, rows: Sequence[Row]) -> None:
        """Write a table as columns of text."""
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        for first, *numbers in (header, *rows):
            self.line(
                "  ".join(
                    [
                        first.ljust(widths[0]),
                        *(text.rjust(width) for text, width in zip(numbers, widths[1:], strict=True)),
                    ]
                )
            )

    def show_result(self, text: str, *, good: bool) -> None:
        """Write a line that begins with OK or FAILED."""
        self._write(f"\n{'OK' if good else 'FAILED'}: {text}")


class Terminal:
    """A screen with colours, panels and spinners, for people."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = min(console.width, _WIDEST)

    def title(self, text: str) -> None:
        """Print a title in bold."""
        self._console.print(f"\n[bold]{escape(text)}[/bold]")

    def line(self, text: str) -> None:
        """Print an indented line; long ones are folded."""
        self._console.print(f"  {escape(text)}", width=self._width)

    @contextmanager
    def waiting(self, text: str) -> Iterator[Update]:
        """Show a spinner, and how far it is."""
        with self._console.status(escape(text)) as status:
            yield lambda far: status.update(escape(f"{text}: {far}"))

    def record(self, title: str, text: str, reason: str) -> None:
        """Print a record in a panel."""
        self._console.print(Panel(escape(text), title=escape(title), title_align="left", width=self._width))
        self._console.print(f"  [green]{escape(reason)}[/green]\n", width=self._width)

    def table(self, header: Row, rows: Sequence[Row]) -> None:
        """Print a table with borders."""
        table = Table(box=SIMPLE_HEAD)
        for index, name in enumerate(header):
            table.add_column(name, justify="right" if index else "left")
        for row in rows:
            table.add_row(*map(escape, row))
        self._console.print(table)

    def show_result(self, text: str, *, good: bool) -> None:
        """Print the result in a panel, green or red."""
        word, color = ("OK", "green") if good else ("FAILED", "red")
        self._console.print(
            Panel(f"[bold {color}]{word}[/bold {color}]: {escape(text)}", border_style=color, width=self._width)
        )
