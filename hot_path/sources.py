"""Tell which files a build of the hot path is made of."""

import ast
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("processor", "schemas", "state")
BUILT_BY: Final = ("setup.py", "pyproject.toml", "requirements.lock")


def read_setup(root: Path = ROOT) -> dict[str, Any]:
    """Return the names of setup.py: HOT_PATH, `missing_for_compiling`."""
    return runpy.run_path(str(root / "setup.py"))


def hot_files(root: Path = ROOT) -> list[str]:
    """Return the modules that are compiled, as paths below the root."""
    return list(read_setup(root)["HOT_PATH"])


def module_name(file: str) -> str:
    """Return the name of a module by its path below the root."""
    return file.removesuffix(".py").replace("/", ".")


def find_sources(root: Path = ROOT) -> list[str]:
    """Return the files that decide what a build holds, as paths below the root.

    mypyc copies constants and trusts types of modules that are not compiled: whatever the hot path imports is a source.
    """
    found: set[str] = set()
    waiting = hot_files(root)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting.extend(_imported_by(root, file))
    return [*sorted(found), *BUILT_BY]


def _imported_by(root: Path, file: str) -> Iterator[str]:
    for statement in ast.walk(ast.parse((root / file).read_text(encoding="utf-8"))):
        if isinstance(statement, ast.ImportFrom) and statement.module is not None:
            yield from _files_of(root, statement.module)
            for alias in statement.names:
                yield from _files_of(root, f"{statement.module}.{alias.name}")
        elif isinstance(statement, ast.Import):
            for alias in statement.names:
                yield from _files_of(root, alias.name)


def _files_of(root: Path, name: str) -> Iterator[str]:
    """Yield the file of a module of ours, and those of the packages around it; none for a name of anything else."""
    parts = name.split(".")
    if parts[0] in PACKAGES:
        for length in range(1, len(parts) + 1):
            place = "/".join(parts[:length])
            yield from (file for file in (f"{place}.py", f"{place}/__init__.py") if (root / file).is_file())
