"""The package with its hot path compiled, as `pip install` makes it for production (setup.py)."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.kit.tools import made_once

ROOT = Path(__file__).parents[2]
SOURCES = ("processor", "schemas", "state")
BUILT_BY = ("setup.py", "pyproject.toml", "README.md")
BUILD_SECONDS = 1200.0
PRODUCTION = "3"
"""How much the C compiler optimises: at 1 it takes a third of the time, and mypyc's part is the same."""


def has_compiler() -> bool:
    """Return whether this machine can compile."""
    return shutil.which("cc") is not None


def compiled_packages(opt_level: str = PRODUCTION) -> Path:
    """Return a folder with our packages as they are now, compiled.

    It is built once for the same sources, mypy and Python.

    Building takes two minutes, with `opt_level` 1 one; it raises CalledProcessError.
    """
    sources = sorted(
        path
        for name in SOURCES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    names = [str(path.relative_to(ROOT)) for path in sources]
    return made_once(
        "compiled",
        [*names, *sources, *(ROOT / name for name in BUILT_BY), sys.version, version("mypy"), opt_level],
        partial(_install_compiled, opt_level),
    )


def _install_compiled(opt_level: str, folder: Path) -> None:
    with TemporaryDirectory() as place:
        for name in SOURCES:
            shutil.copytree(ROOT / name, Path(place) / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in BUILT_BY:
            shutil.copy(ROOT / name, place)
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--target",
            str(folder),
            place,
        ]
        environment = os.environ | {"BUILD_COMPILED": "1", "BUILD_OPT_LEVEL": opt_level}
        subprocess.run(command, env=environment, capture_output=True, text=True, timeout=BUILD_SECONDS, check=True)


def preferring(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which Python finds the packages in `folder` before those of this repository.

    So does what Python starts.
    """
    return {**environment, "PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
