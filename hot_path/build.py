"""Compile the hot path and have the environment prefer it: `python -m hot_path.build`, a part of `make setup`.

A build is kept in `.tools/` for the same sources, libraries, mypy and Python; tests and benchmarks use the same.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from hot_path import finder
from hot_path.sources import BUILT_BY, PACKAGES, ROOT, find_sources, module_name, read_setup
from tests.kit.tools import kept_folder, made_once

PRODUCTION: Final = "3"
"""How much the C compiler optimises; at 1 it takes two thirds of the time, and mypyc's part is the same."""

_KEPT: Final = "compiled"
_INSTALLED: Final = "profile_exporter_hot_path"
_DONE: Final = "compiled"  # in the environment: what `make` goes by
_BUILD_SECONDS: Final = 1200.0


class NotCompiled(Exception):
    """An error: compiling failed; the text says why, or is what it said last."""


def missing_for_compiling() -> str:
    """Return what compiling lacks on this machine, in words; an empty text: nothing."""
    return str(read_setup()["missing_for_compiling"]())


def is_built(opt_level: str = PRODUCTION) -> bool:
    """Return whether there is a build of the sources as they are."""
    return _place(opt_level, ROOT).is_dir()


def build(opt_level: str = PRODUCTION) -> Path:
    """Return the folder of the hot path as it is now, compiled: built once; raise NotCompiled."""
    return made_once(_KEPT, _made_of(opt_level, ROOT), partial(_compile, opt_level, _place(opt_level, ROOT)))


def _place(opt_level: str, root: Path) -> Path:
    return kept_folder(_KEPT, _made_of(opt_level, root))


def _made_of(opt_level: str, root: Path) -> list[Path | str]:
    sources = find_sources(root)
    return [*sources, *(root / file for file in sources), sys.version, version("mypy"), opt_level]


def _compile(opt_level: str, wanted: Path, folder: Path) -> None:
    """Compile a copy, so that nothing of it is left beside the sources, and tell in a manifest what it is made of."""
    with TemporaryDirectory() as place:
        copy = Path(place)
        for name in PACKAGES:
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in BUILT_BY:
            shutil.copy(ROOT / name, copy)
        if _place(opt_level, copy) != wanted:
            raise NotCompiled("a source was changed in the meantime: begin again")
        digests = {file: hashlib.sha256((copy / file).read_bytes()).hexdigest() for file in find_sources(copy)}
        _run_setup(opt_level, copy, folder)
    manifest = {"python": sys.version, "sources": digests, "modules": _modules_in(folder)}
    (folder / finder.MANIFEST).write_text(json.dumps(manifest, indent=1))


def _run_setup(opt_level: str, copy: Path, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", str(folder)],
        cwd=copy,
        env=os.environ | {"BUILD_COMPILED": "1", "BUILD_OPT_LEVEL": opt_level},
        capture_output=True,
        text=True,
        timeout=_BUILD_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise NotCompiled((done.stdout + done.stderr).strip()[-2000:])


def _modules_in(folder: Path) -> dict[str, str]:
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob(f"*{suffix}"))
    return {module_name(file.removesuffix(suffix)): file for file in files}


def prefer_build(root: Path, folder: Path, libraries: Path) -> None:
    """Have each Python of the environment with these libraries prefer a build of `root`, from its next start on."""
    shutil.copy(Path(finder.__file__), libraries / f"{_INSTALLED}.py")
    line = f"import {_INSTALLED}; {_INSTALLED}.prefer({str(root)!r}, {str(folder)!r})\n"
    (libraries / f"{_INSTALLED}.pth").write_text(line)


def main() -> None:
    """Build where a C compiler is, and say which form the environment has."""
    if missing := missing_for_compiling():
        print(f"The hot path is interpreted, so an event costs up to twice the CPU: {missing}.")
        return
    if not is_built():
        print("The hot path is being compiled; that takes a minute, once for these sources.", flush=True)
    try:
        prefer_build(ROOT, build(), Path(sysconfig.get_path("purelib")))
        Path(sys.prefix, _DONE).touch()
    except NotCompiled as failed:
        print(f"The hot path is interpreted, so an event costs up to twice the CPU: it was not compiled.\n{failed}")
    else:
        print("The hot path is compiled.")


if __name__ == "__main__":
    main()
