"""Commands that are imported when they run, and how a command that cannot go on ends."""

import subprocess
import sys
from typing import Any

import click
import pytest
from click.testing import CliRunner

from processor.cli import COMMANDS, commands
from processor.cli.lazy import Lazy, LazyGroup
from processor.foundation.errors import CommandError, StoppedForOperator, UsageError


@click.command()
@click.argument("error")
def fail(error: str) -> None:
    """Raise the error of that name."""
    errors: dict[str, type[Exception]] = {
        "failed": CommandError,
        "usage": UsageError,
        "stopped": StoppedForOperator,
        "bug": ZeroDivisionError,
    }
    raise errors[error]("the thing, the place, the remedy")


def run(*arguments: str) -> Any:
    group = LazyGroup("group", lazy={"fail": Lazy(f"{__name__}:fail", "Fail.")})
    return CliRunner().invoke(group, arguments)


@pytest.mark.parametrize(("error", "exit_code"), [("failed", 1), ("usage", 2), ("stopped", 3)])
def test_an_error_is_its_text_on_stderr_and_its_exit_code(error: str, exit_code: int) -> None:
    result = run("fail", error)

    assert (result.exit_code, result.stdout, result.stderr) == (
        exit_code,
        "",
        "profile-exporter: the thing, the place, the remedy\n",
    )


def test_a_bug_of_ours_is_not_hidden() -> None:
    assert isinstance(run("fail", "bug").exception, ZeroDivisionError)


def test_an_unknown_command_is_wrong_usage_and_named() -> None:
    result = run("fial")

    assert result.exit_code == 2
    assert "fial" in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_with_its_help_and_a_line_in_the_list(name: str) -> None:
    own, listed = CliRunner().invoke(commands, [name, "--help"]), CliRunner().invoke(commands, ["--help"])

    assert own.exit_code == 0
    assert own.stdout.startswith("Usage: ")
    assert COMMANDS[name].summary.rstrip(".") in " ".join(listed.stdout.split())


def test_the_list_of_commands_imports_no_client() -> None:
    program = (
        "import sys; from click.testing import CliRunner; from processor.cli import commands; "
        "assert CliRunner().invoke(commands, ['--help']).exit_code == 0; "
        "print([name for name in ('confluent_kafka', 'aiokafka', 'boto3', 'faust', 'pydantic') if name in sys.modules])"
    )

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert said.stdout == "[]\n"
