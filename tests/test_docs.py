"""The documentation says what the program does: commands, options, settings, golden histories, places in the
repository.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from processor.cli import commands
from processor.cli.reference import write_reference
from processor.foundation.settings import Settings
from processor.foundation.settings_environment import env_name

ROOT = Path(__file__).parents[1]
DOCS = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
GENERATED = {"contract-map.md", "reference.md"}
SHORT = re.compile(r"`([a-z_]+(?:/[a-z_]+)+)`")
PLACE = re.compile(r"(?<![\w/<.-])(?:processor|schemas|state|tests|docs|docker|benchmarks|hot_path)/[\w./-]*[\w/]")


def all_commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(commands)
    for name in commands.list_commands(context):
        command = commands.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {below}", each) for below, each in command.commands.items())


def test_the_reference_is_what_the_program_says() -> None:
    written = (ROOT / "docs" / "reference.md").read_text()

    assert written == write_reference(), "run `python -m processor.cli.reference > docs/reference.md`"


def test_every_command_and_every_option_says_what_it_does() -> None:
    for name, command in all_commands():
        assert command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts}"
            else:
                assert parameter.human_readable_name in command.help, (
                    f"{name}: {parameter.human_readable_name} is not explained"
                )


def test_every_setting_says_what_it_is_and_stands_in_the_reference() -> None:
    written = (ROOT / "docs" / "reference.md").read_text()
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"`{env_name(name)}`" in written


def test_every_setting_that_the_docs_name_exists() -> None:
    known = {env_name(name) for name in Settings.model_fields}
    for document in DOCS:
        named = set(re.findall(r"PROFILE_EXPORTER_[A-Z_]*[A-Z]", document.read_text()))
        assert named - {"PROFILE_EXPORTER_REQUIRE_KAFKA"} <= known, document.name


def test_every_golden_history_is_in_the_architecture_page() -> None:
    named = set(re.findall(r"tests/golden/([\w-]+)", (ROOT / "docs" / "architecture.md").read_text()))

    assert named - {"NAME"} == {folder.name for folder in (ROOT / "tests" / "golden").iterdir()}


@pytest.mark.parametrize("document", DOCS, ids=lambda path: path.name)
def test_every_place_in_the_repository_that_the_docs_name_exists(document: Path) -> None:
    named = set(PLACE.findall(document.read_text())) - {"tests/golden/NAME/"}

    missing = [place for place in named if not (ROOT / place).exists()]

    assert missing == []


@pytest.mark.parametrize("document", DOCS, ids=lambda path: path.name)
def test_every_module_that_the_docs_name_in_short_exists(document: Path) -> None:
    """`core/step` is `processor/core/step.py`: architecture.md says so at its top."""
    packages = {path.name for path in (ROOT / "processor").iterdir() if (path / "__init__.py").exists()}
    named = {match for match in SHORT.findall(document.read_text()) if match.split("/")[0] in packages}

    missing = {
        name for name in named if not any((ROOT / "processor" / f"{name}{end}").exists() for end in (".py", "/"))
    }

    assert missing == set()


@pytest.mark.parametrize("document", [path for path in DOCS if path.name not in GENERATED], ids=lambda path: path.name)
def test_no_line_of_prose_is_longer_than_160_characters(document: Path) -> None:
    lines = enumerate(document.read_text().splitlines(), 1)

    assert [number for number, line in lines if len(line) > 160 and not line.startswith("|")] == []
