"""Where the tour is shown: tables and panels on a terminal, plain lines elsewhere. On stdout."""

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
    """What the tour shows."""

    def title(self, text: str) -> None:
        """The beginning of a part."""

    def line(self, text: str) -> None:
        """Something that is so, or has been done."""

    def waiting(self, text: str) -> AbstractContextManager[Update]:
        """Something that takes a while; what it yields takes how far it is."""
        ...

    def record(self, title: str, text: str, reason: str) -> None:
        """A record in full, and why it is there."""

    def table(self, header: Row, rows: Sequence[Row]) -> None:
        """A small table; all columns but the first are numbers."""

    def verdict(self, text: str, *, good: bool) -> None:
        """What comes out in the end."""


def screen() -> Screen:
    """The one for this process' stdout."""
    console = Console(highlight=False)
    return Terminal(console) if console.is_terminal else Plain(partial(print, flush=True))


class Plain:
    """Lines of text for a file, a pipe or a log."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def title(self, text: str) -> None:
        """A line after an empty one."""
        self._write(f"\n{text}")

    def line(self, text: str) -> None:
        """Indented."""
        self._write(f"  {text}")

    @contextmanager
    def waiting(self, text: str) -> Iterator[Update]:  # noqa: ARG002  # the signature is Screen's
        """Nothing: what it came to is said afterwards."""
        yield lambda _: None

    def record(self, title: str, text: str, reason: str) -> None:
        """Indented lines."""
        for line in (title, *(f"  {line}" for line in text.splitlines()), f"  {reason}", ""):
            self.line(line)

    def table(self, header: Row, rows: Sequence[Row]) -> None:
        """Columns of text."""
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

    def verdict(self, text: str, *, good: bool) -> None:
        """A line that begins with OK or FAILED."""
        self._write(f"\n{'OK' if good else 'FAILED'}: {text}")


class Terminal:
    """For people."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = min(console.width, _WIDEST)

    def title(self, text: str) -> None:
        """Bold."""
        self._console.print(f"\n[bold]{escape(text)}[/bold]")

    def line(self, text: str) -> None:
        """Indented; long ones are folded."""
        self._console.print(f"  {escape(text)}", width=self._width)

    @contextmanager
    def waiting(self, text: str) -> Iterator[Update]:
        """A spinner, and how far it is."""
        with self._console.status(escape(text)) as status:
            yield lambda far: status.update(escape(f"{text}: {far}"))

    def record(self, title: str, text: str, reason: str) -> None:
        """A panel."""
        self._console.print(Panel(escape(text), title=escape(title), title_align="left", width=self._width))
        self._console.print(f"  [green]{escape(reason)}[/green]\n", width=self._width)

    def table(self, header: Row, rows: Sequence[Row]) -> None:
        """With borders."""
        table = Table(box=SIMPLE_HEAD)
        for index, name in enumerate(header):
            table.add_column(name, justify="right" if index else "left")
        for row in rows:
            table.add_row(*map(escape, row))
        self._console.print(table)

    def verdict(self, text: str, *, good: bool) -> None:
        """A panel, green or red."""
        word, color = ("OK", "green") if good else ("FAILED", "red")
        self._console.print(
            Panel(f"[bold {color}]{word}[/bold {color}]: {escape(text)}", border_style=color, width=self._width)
        )
