"""Docstrings can be read alone: first lines have a subject and are whole, and a package's docstring is its map."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = sorted(
    path.parent.relative_to(ROOT).as_posix()
    for top in ("schemas", "state", "processor", "hot_path")
    for path in (ROOT / top).rglob("__init__.py")
)
PRONOUNS: Final = ("It", "Its", "They", "Their", "This", "That", "These", "Those", "We", "Our", "Ours", "He", "She")
RIDDLES: Final = (
    "There",
    "And",
    "Or",
    "But",
    "None",
    "One of",
    "Up to",
    "Of",
    "What",
    "Which",
    "Whether",
    "Who",
    "Whom",
)
RIDDLE: Final = re.compile(rf"(?:{'|'.join([*PRONOUNS, *RIDDLES, 'Whose', 'How', 'Where', 'When', 'Why'])})\b")
LEAST_WORDS: Final = 4


def docstrings(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the place and the docstring of the module, and of each class and function in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                name = "" if isinstance(node, ast.Module) else f": {node.name}"
                yield f"{path.relative_to(ROOT).as_posix()}{name}", docstring


def fault(docstring: str) -> str | None:
    """Return what is wrong with the first line of a docstring."""
    first, *rest = docstring.split("\n")
    if not first.endswith((".", "?", "!")):
        return "the first sentence does not end on the first line"
    if rest and rest[0]:
        return "a blank line must follow the first line"
    if len(first.split()) < LEAST_WORDS:
        return f"fewer than {LEAST_WORDS} words"
    return "the first line begins as a riddle" if RIDDLE.match(first) else None


@pytest.mark.parametrize("package", PACKAGES)
def test_the_first_line_of_every_docstring_stands_alone(package: str) -> None:
    places = [each for path in sorted((ROOT / package).glob("*.py")) for each in docstrings(path)]

    assert {place: fault(docstring) for place, docstring in places if fault(docstring)} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_docstring_of_a_package_names_every_module_in_it(package: str) -> None:
    folder = ROOT / package
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}

    assert modules - {"__init__", "__main__"} - set(re.findall(r"\w+", docstring)) == set()
