"""Commands that are imported when they run, so that `--help` answers at once."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click

from processor.foundation.errors import CommandError


class Lazy(NamedTuple):
    """A command: where it lives (`module:attribute`), and its line in the list of commands."""

    place: str
    summary: str


class LazyGroup(click.Group):
    """A group whose commands are named before they are imported; a CommandError ends it with its text and exit code."""

    def __init__(self, *arguments: Any, lazy: Mapping[str, Lazy], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # the signature is click's
        """In the order of first use, not of the alphabet."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the signature is click's
        """The command itself; None where there is none of that name."""
        if cmd_name not in self.lazy:
            return None
        module, _, attribute = self.lazy[cmd_name].place.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # the signature is click's
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.summary) for name, lazy in self.lazy.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; what cannot go on is one clear text on stderr."""
        try:
            return super().invoke(ctx)
        except CommandError as error:
            click.echo(f"profile-exporter: {error}", err=True)
            ctx.exit(error.exit_code)
