"""Generate docs/contract-map.md: each rule of docs/contract.md, its home in the code, and the tests that prove it.

    python -m tests.kit.contract_map > docs/contract-map.md

A home is a function or class whose docstring says `Home of E2.` (or `Home of E1, E2 and E4.`). A test proves a rule
that its name (`test_e2_…`, `…_i4_…`), its docstring or the docstring of its module names.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from tests.cli.test_golden import RULES

ROOT: Final = Path(__file__).parents[2]
CONTRACT: Final = ROOT / "docs" / "contract.md"
NUMBERED: Final = re.compile(r"^\| ([A-Z]\d+) \| (.+?) \|", re.MULTILINE)
SECTION: Final = re.compile(r"^## (\w+)\. (.+?)$", re.MULTILINE)
RULE: Final = r"(?:[A-Z]\d+|\d[a-z]?)"
CITED: Final = r"(?:[A-Z]\d+|4b|contract \d[a-z]?)"
HOME: Final = re.compile(rf"Home of ({RULE}(?:(?:, | and |, and ){RULE})*)\.")
INTRODUCTION: Final = """\
# Contract map

Each rule of [contract.md](contract.md) has one home: the function or class that carries it out, or from which the rule
can be followed. The docstring of the home says `Home of` the rule; other places cite the number of the rule. The tests
name the rule in a test's name, in its docstring, or at the top of their module.

`python -m tests.kit.contract_map > docs/contract-map.md` generates this page from code and tests.

"""


class Rule(NamedTuple):
    """A rule of the contract: its number, and the beginning of its text."""

    number: str
    text: str


@cache
def read_rules() -> tuple[Rule, ...]:
    """Return the numbered rules of the contract, and each section that has a rule but no numbers, in their order."""
    rules: list[Rule] = []
    contract = CONTRACT.read_text()
    headings = list(SECTION.finditer(contract))
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        body = contract[heading.end() : following.start() if following else None]
        numbered = [Rule(number, text) for number, text in NUMBERED.findall(body)]
        rules += numbered or [Rule(heading[1], heading[2])]
    return tuple(rules)


@cache
def find_homes() -> dict[str, list[str]]:
    """Map each rule to the places that say `Home of` it, as `path:Class.method`."""
    homes: dict[str, list[str]] = {}
    for path in sorted(each for top in ("schemas", "state", "processor") for each in (ROOT / top).rglob("*.py")):
        for name, docstring in _docstrings(ast.parse(path.read_text()), ""):
            for said in HOME.findall(docstring):
                for number in re.findall(RULE, said):
                    homes.setdefault(number, []).append(f"{path.relative_to(ROOT).as_posix()}:{name}")
    return homes


@cache
def find_tests() -> dict[str, list[str]]:
    """Map each rule to the test modules that have a test of it, and to the golden histories that tell of it."""
    tests: dict[str, list[str]] = {}
    numbers = {rule.number for rule in read_rules()}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for number in sorted(_named_by(ast.parse(path.read_text())) & numbers):
            tests.setdefault(number, []).append(path.relative_to(ROOT).as_posix())
    for history, named in sorted(RULES.items()):
        for number in re.findall(rf"\b{CITED}\b", named):
            tests.setdefault(number, []).append(f"tests/golden/{history}")
    return tests


def write_map() -> str:
    """Return the page: one table, a line for each rule."""
    homes, tests = find_homes(), find_tests()
    lines = ["| rule | says | home | tests |", "|---|---|---|---|"]
    for rule in read_rules():
        places = ", ".join(f"`{place}`" for place in homes.get(rule.number, [])) or "no code yet"
        proofs = ", ".join(f"`{path}`" for path in tests.get(rule.number, [])) or "none yet"
        lines.append(f"| {rule.number} | {_beginning(rule.text)} | {places} | {proofs} |")
    return INTRODUCTION + "\n".join(lines) + "\n"


def _docstrings(node: ast.AST, within: str) -> Iterator[tuple[str, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{within}.{child.name}".lstrip(".")
            yield name, " ".join((ast.get_docstring(child) or "").split())
            yield from _docstrings(child, name)


def _named_by(module: ast.Module) -> set[str]:
    texts = [ast.get_docstring(module) or ""]
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            texts += [ast.get_docstring(node) or "", " ".join(node.name.split("_")).upper().replace("4B", "4b")]
    cited = {number for text in texts for number in re.findall(rf"\b{CITED}\b", text)}
    return {number.removeprefix("contract ") for number in cited}


def _beginning(text: str) -> str:
    plain = re.sub(r"\*\*|`", "", text)
    words = plain.split()
    short = ""
    while words and len(short) + len(words[0]) < 60:
        short = f"{short} {words.pop(0)}".lstrip()
    return short + ("…" if words else "")


if __name__ == "__main__":
    print(write_map(), end="")
