"""A build is preferred while the sources are those it was made of, and never a stale one. No compiler: a build is a
folder of modules, and these are of Python.
"""

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from hot_path.build import prefer_build
from hot_path.finder import MANIFEST, RUN_COMPILED

SECONDS: Final = 60.0
SOURCES: Final = {
    "processor/__init__.py": "",
    "processor/core/__init__.py": "",
    "processor/core/hot.py": "FORM = 'source'\n",
    "processor/core/constants.py": "ANSWER = 42\n",
    "processor/core/cold.py": "FORM = 'source'\n",
}
BUILT: Final = {
    "processor/core/hot.py": "import shared__mypyc\nFORM = shared__mypyc.FORM\n",
    "shared__mypyc.py": "FORM = 'build'\n",
}
ASK: Final = (
    "import site, sys; site.addsitedir(sys.argv[1]); import processor.core.cold, processor.core.hot as hot;"
    "print(hot.FORM, processor.core.cold.FORM)"
)


class WorkingCopy:
    """A working copy with one module that is compiled, one that it takes a constant of, and one beside them."""

    def __init__(self, folder: Path) -> None:
        self.root, self.built, self.libraries = folder / "root", folder / "built", folder / "libraries"
        self.libraries.mkdir(parents=True)
        write(self.root, SOURCES)
        write(self.built, BUILT)
        self.write_manifest(sys.version)
        prefer_build(self.root, self.built, self.libraries)

    def write_manifest(self, python: str) -> None:
        hashed = ("processor/core/hot.py", "processor/core/constants.py")
        manifest = {
            "python": python,
            "sources": {file: sha256((self.root / file).read_bytes()).hexdigest() for file in hashed},
            "modules": {file.removesuffix(".py").replace("/", "."): file for file in BUILT},
        }
        (self.built / MANIFEST).write_text(json.dumps(manifest))

    def forms(self, root: Path | None = None, **environment: str) -> list[str]:
        """Return the forms of the module that is compiled and of the one beside it, in a Python of this environment."""
        rest = {name: value for name, value in os.environ.items() if name not in (RUN_COMPILED, "PYTHONPATH")}
        done = subprocess.run(
            [sys.executable, "-c", ASK, str(self.libraries)],
            cwd=root or self.root,
            env=rest | environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()


def write(folder: Path, files: dict[str, str]) -> None:
    for file, text in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)


@pytest.fixture
def copy(tmp_path: Path) -> WorkingCopy:
    return WorkingCopy(tmp_path)


def test_what_was_compiled_is_preferred_and_what_was_not_is_its_source(copy: WorkingCopy) -> None:
    assert copy.forms() == ["build", "source"]


def test_a_change_of_what_is_not_compiled_leaves_the_build_in_use(copy: WorkingCopy) -> None:
    write(copy.root, {"processor/core/cold.py": "FORM = 'changed'\n"})

    assert copy.forms() == ["build", "changed"]


@pytest.mark.parametrize("file", ["processor/core/hot.py", "processor/core/constants.py"])
def test_a_build_of_other_sources_is_never_used(copy: WorkingCopy, file: str) -> None:
    as_built = (copy.root / file).read_text()
    write(copy.root, {file: f"{as_built}# changed\n"})

    changed = copy.forms()
    write(copy.root, {file: as_built})

    assert (changed, copy.forms()) == (["source", "source"], ["build", "source"])


def test_a_source_that_is_gone_makes_the_build_a_stale_one(copy: WorkingCopy) -> None:
    (copy.root / "processor/core/constants.py").unlink()

    assert copy.forms() == ["source", "source"]


def test_run_compiled_0_has_the_sources_interpreted(copy: WorkingCopy) -> None:
    assert copy.forms(**{RUN_COMPILED: "0"}) == ["source", "source"]


def test_a_build_for_another_python_or_one_that_is_gone_is_not_used(copy: WorkingCopy) -> None:
    copy.write_manifest("3.10.1 (other)")
    other = copy.forms()
    (copy.built / MANIFEST).unlink()

    assert (other, copy.forms()) == (["source", "source"], ["source", "source"])


def test_another_working_copy_in_the_same_environment_has_its_own_sources(copy: WorkingCopy, tmp_path: Path) -> None:
    write(tmp_path / "other", SOURCES)

    assert copy.forms(tmp_path / "other") == ["source", "source"]
