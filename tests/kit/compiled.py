"""The package with its hot path compiled, as `pip install` makes it for production (setup.py)."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
SOURCES = ("processor", "schemas", "state")
BUILD_SECONDS = 300.0


def has_compiler() -> bool:
    """Whether this machine can compile."""
    return shutil.which("cc") is not None


def install_compiled(folder: Path) -> None:
    """Build and install into `folder`, with what this environment holds; about half a minute. Raises CalledProcessError."""
    with TemporaryDirectory() as place:
        for name in SOURCES:
            shutil.copytree(ROOT / name, Path(place) / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("setup.py", "pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, place)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(folder), place]
        environment = os.environ | {"BUILD_COMPILED": "1"}
        subprocess.run(command, env=environment, capture_output=True, text=True, timeout=BUILD_SECONDS, check=True)


def preferring(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` in which Python, and what it starts, finds the packages in `folder` before those of this repository."""
    return {**environment, "PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
