"""Write docs/reference.md: every command with its options, and every setting, by the program's own help.

python -m processor.cli.reference > docs/reference.md
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
from pydantic_core import PydanticUndefined

from processor.cli import commands
from processor.foundation.settings import Settings
from processor.foundation.settings_environment import env_name

PROGRAM: Final = "profile-exporter"
_WIDTH: Final = 110
_ENV_FILE: Final = """\
`.env` is read literally: what stands behind the first `=` of a line is the value, with every `${…}`, ` #`, quote and
backslash in it, so a password is written as it is. No part of it are blanks at its ends, and one pair of quotes around
the whole (for a value with blanks at its ends). A line that begins with `#` is a comment, and `export ` before a name
counts for nothing. A flow's `${NAME}` is looked up in the environment, then in `.env`; `check` says where each value
comes from.
"""


def write_reference() -> str:
    """Return the page of commands and settings."""
    return "\n".join([*_opening(), *_commands(), *_settings()]) + "\n"


def _opening() -> Iterator[str]:
    yield "# Commands and settings"
    yield ""
    yield "Written by `python -m processor.cli.reference`; a test compares it with what the program says."
    yield ""


def _commands() -> Iterator[str]:
    yield "## Commands"
    yield ""
    group = click.Context(commands, info_name=PROGRAM, terminal_width=_WIDTH, help_option_names=["-h", "--help"])
    yield from _help(group)
    for name in commands.list_commands(group):
        command = commands.get_command(group, name)
        assert command is not None
        yield from _command(click.Context(command, parent=group, info_name=name, terminal_width=_WIDTH))


def _command(context: click.Context) -> Iterator[str]:
    """Yield a command, and those below it."""
    yield f"### {context.command_path}"
    yield ""
    yield from _help(context)
    if isinstance(context.command, click.Group):
        for name, command in context.command.commands.items():
            yield from _command(click.Context(command, parent=context, info_name=name, terminal_width=_WIDTH))


def _help(context: click.Context) -> Iterator[str]:
    yield "```text"
    yield from context.get_help().splitlines()
    yield "```"
    yield ""


def _settings() -> Iterator[str]:
    yield "## Settings"
    yield ""
    yield (
        "Read once from the environment, or from a `.env` file in the working directory; the environment wins. An empty"
        " value counts as unset."
    )
    yield ""
    yield from _ENV_FILE.splitlines()
    yield ""
    yield "| variable | default | what it is |"
    yield "|---|---|---|"
    for name, field in Settings.model_fields.items():
        yield (
            f"| `{env_name(name)}` | {_default(field.default)} |"
            f" {(field.description or '').replace('|', chr(92) + '|')} |"
        )


def _default(value: object) -> str:
    if value is None or value is PydanticUndefined:
        return "unset"
    text = value.as_posix() if isinstance(value, Path) else str(value)
    return f"`{text}`" if text else "empty"


if __name__ == "__main__":
    click.echo(write_reference(), nl=False)
