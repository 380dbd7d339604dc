"""Have Python prefer the compiled hot path of a working copy, while the sources there are those of the build.

`hot_path.build` copies this module beside an environment's libraries, with a `.pth` file that calls `prefer` at each
start of Python. So it imports little, and opens no file before a module of ours is imported.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

MANIFEST: Final = "manifest.json"
RUN_COMPILED: Final = "RUN_COMPILED"

_OURS: Final = ("processor.", "schemas.", "state.")
_NOTHING: Final[Mapping[str, str]] = {}


class Finder:
    """An entry of `sys.meta_path` that finds the modules of one build, for the working copy in `root`.

    It decides once, at the first of them: all come from the build, or none.
    """

    def __init__(self, root: str, build: str) -> None:
        self._root, self._build = root, build
        self._modules: Mapping[str, str] | None = None
        self._shared: Mapping[str, str] = _NOTHING

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,  # noqa: ARG002  # Python's signature
    ) -> ModuleSpec | None:
        """Return where a compiled module is; None for every other one.

        One that another copy of our packages asks for is another one: its package is not in `root`. All compiled
        modules share a library, a module without a package, whose name depends on their names alone.
        """
        file = self._shared.get(name) if path is None else self._find_hot(name, path)
        if file is None:
            return None
        from importlib.util import spec_from_file_location  # noqa: PLC0415  # not at each start of Python

        return spec_from_file_location(name, file)

    def _find_hot(self, name: str, path: Sequence[str]) -> str | None:
        package = name.rpartition(".")[0].replace(".", os.sep)
        if not name.startswith(_OURS) or os.path.join(self._root, package) not in path:  # noqa: PTH118  # as pathlib is not imported yet
            return None
        if self._modules is None:
            self._modules = modules_of_build(self._root, self._build)
        file = self._modules.get(name)
        if file is not None:
            self._shared = self._modules
        return file


def modules_of_build(root: str, build: str) -> Mapping[str, str]:
    """Return the files of a build by the names of their modules; none where a source is not what was built.

    Nor where RUN_COMPILED is 0, another Python runs than the one that it was built for, or the build is gone.
    """
    if os.environ.get(RUN_COMPILED) == "0":
        return _NOTHING
    import json  # noqa: PLC0415  # not at each start of Python
    from hashlib import sha256  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    try:
        manifest = json.loads(Path(build, MANIFEST).read_bytes())
        sources = manifest["sources"].items()
        is_same = all(sha256(Path(root, file).read_bytes()).hexdigest() == digest for file, digest in sources)
    except OSError:
        return _NOTHING
    if not is_same or manifest["python"] != sys.version:
        return _NOTHING
    return {name: str(Path(build, file)) for name, file in manifest["modules"].items()}


def prefer(root: str, build: str) -> None:
    """Have this process prefer a build to the sources in `root`; once, though Python may read a `.pth` file twice."""
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder(root, build))
