"""The packages with their hot path compiled, as a wheel has them (setup.py), beside those of this working copy."""

import os
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from hot_path.build import PRODUCTION, build
from hot_path.finder import MANIFEST
from hot_path.sources import PACKAGES, ROOT
from tests.kit.tools import made_once


def compiled_packages(opt_level: str = PRODUCTION) -> Path:
    """Return a folder with our packages as they are now, compiled; a process prefers them by `preferring`.

    Building takes a minute where `make setup` has not done it; it raises NotCompiled.
    """
    built = build(opt_level)
    sources = sorted(
        path
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    names = [str(path.relative_to(ROOT)) for path in sources]
    return made_once("packages", [*names, *sources, built.name], partial(_merge, built))


def _merge(built: Path, folder: Path) -> None:
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(built, folder, ignore=shutil.ignore_patterns(MANIFEST), dirs_exist_ok=True)


def preferring(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which Python finds the packages in `folder` before those of this repository.

    So does what Python starts.
    """
    return {**environment, "PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
