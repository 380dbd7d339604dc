"""One word a thing (docs/glossary.md): what names and prose must not use, and documents that the repository has not."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
PRODUCT: Final = ("processor", "schemas", "state")
AREAS: Final = sorted(
    {
        *(path.relative_to(ROOT).as_posix() for top in ("processor", "tests") for path in (ROOT / top).iterdir()),
        *("schemas", "state", "hot_path", "benchmarks", "docs", "docker"),
        *("README.md", "Makefile", "pyproject.toml", "setup.py"),
    }
    - {"processor/__pycache__", "tests/__pycache__", "tests/golden", "tests/test_words.py"}
)
OLD_WORDS: Final = re.compile(
    r"barrier|condemn(ed)?|fates?|flying|happenings?|heirs?|hurry|landed|moved|poison|saw|scenery|stage|stays?|story"
    r"|stuck|survey|sweep|tall(y|ies)|turns?|verdicts?|walk|watermarks?|wishes"
)
EMPTY_WORDS: Final = re.compile(r"helpers?|managers?|utils?|common|misc")
OLD_PROSE: Final = re.compile(
    r"\b(?:happenings?|heirs?|condemn(?:s|ed)?|scenery|poison(?:s|ed)?|tall(?:y|ies)|(?<!high )watermarks?)\b", re.I
)
ELSEWHERE: Final = re.compile(r"\bdesign \d|(?<!aws-sdk-go, )(?<!aws-sdk-js, )\bissues? #?\d|\bspikes? core/", re.I)


def files_of(area: str) -> Iterator[Path]:
    """Yield the files of an area that people write."""
    place = ROOT / area
    for path in [place] if place.is_file() else sorted(place.rglob("*")):
        if path.is_file() and (path.suffix in {".md", ".py", ".toml", ".yaml", ".sh"} or path.name == "Makefile"):
            yield path


def names_in(path: Path) -> Iterator[str]:
    """Yield the names of a module, and of the classes and functions in it."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


def words_of(name: str) -> list[str]:
    """Split a name, as `DeadLetterQueue` and `read_dead_letter`, into its words."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)]


def is_refused(name: str) -> bool:
    """Say whether a name has an old or an empty word, or a letter that is no dead letter."""
    words = words_of(name)
    return any(
        OLD_WORDS.fullmatch(word) or EMPTY_WORDS.fullmatch(word) or (word in {"letter", "letters"} and before != "dead")
        for before, word in zip(["", *words], words, strict=False)
    )


@pytest.mark.parametrize("area", [area for area in AREAS if area.startswith(PRODUCT)])
def test_no_name_has_a_word_that_the_glossary_gave_up(area: str) -> None:
    paths = [path for path in files_of(area) if path.suffix == ".py"]

    assert [f"{path.name}: {name}" for path in paths for name in names_in(path) if is_refused(name)] == []


@pytest.mark.parametrize("area", AREAS)
def test_no_text_has_a_word_that_the_glossary_gave_up(area: str) -> None:
    assert lines_with(OLD_PROSE, area) == []


@pytest.mark.parametrize("area", AREAS)
def test_no_text_cites_a_document_that_the_repository_does_not_hold(area: str) -> None:
    assert lines_with(ELSEWHERE, area) == []


def lines_with(pattern: re.Pattern[str], area: str) -> list[str]:
    """Return the places of an area whose lines match."""
    return [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in files_of(area)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line) and path.name != "glossary.md"
    ]
