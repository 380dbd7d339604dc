"""Every task, thread and service of a worker stands in docs/architecture.md, with what happens when it ends."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
STARTS: Final = frozenset(
    {"watched_task", "lasting_task", "create_task", "add_future", "ensure_future", "run_coroutine_threadsafe"}
)
STARTS_THREADS: Final = frozenset({"Thread", "ThreadPoolExecutor", "to_thread", "run_in_executor"})
OF_OTHER_PROCESSES: Final = (
    "processor/api/",
    "processor/cli/",
    "processor/demo/",
    "processor/sandbox/",
    "processor/supervisor/",
)  # a worker runs nothing of them
THE_MEANS: Final = frozenset({"processor/foundation/tasks.py"})  # what starts a task for its callers


def places_that_start_something() -> Iterator[str]:
    for path in sorted([*ROOT.glob("processor/**/*.py"), *ROOT.glob("state/**/*.py")]):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(OF_OTHER_PROCESSES) and name not in THE_MEANS:
            yield from (f"{name}: {place}" for place in _places(ast.parse(path.read_text()), ""))


def _places(node: ast.AST, within: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        inner = within
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inner = f"{within}.{child.name}".lstrip(".")
            if any(
                isinstance(decorator, ast.Attribute) and decorator.attr == "task" for decorator in child.decorator_list
            ):
                yield inner
        if isinstance(child, ast.Call) and _name(child.func) in STARTS | STARTS_THREADS:
            yield inner
        yield from _places(child, inner)


def _name(function: ast.expr) -> str:
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def test_all_that_runs_in_a_worker_stands_in_the_architecture_page_with_what_happens_when_it_ends() -> None:
    section = (
        (ROOT / "docs" / "architecture.md").read_text().partition("## What runs in a worker")[2].partition("\n## ")[0]
    )

    named = set(re.findall(r"`((?:processor|state)/[\w/]+\.py: [\w.]+)`", section))

    assert named == set(places_that_start_something())
