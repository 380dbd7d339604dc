"""Read the file `.env` of the working directory: variables, one a line, literally, below the environment.

    NAME=value           what stands behind the first =, to the end of the line, without the blanks at its ends
    NAME=" value "       the same between two quotes of one kind, blanks and all
    export NAME=value    as a shell would read it
    # a comment          a line that begins with #; within a value it is a character as any other

Nothing is expanded: `${…}`, backslashes and quotes within a value stay as they are, so a password is written as it is.
A line without = is passed over. A byte order mark, and ends of lines as Windows writes them, are no part of a value. Of
two lines with one name the last holds.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from processor.foundation.errors import UsageError

ENV_FILE: Final = Path(".env")
OF_THE_ENVIRONMENT: Final = "environment"
_QUOTES: Final = ("'", '"')
_EXPORT: Final = "export "


def read_env_file(path: Path = ENV_FILE) -> dict[str, str]:
    """The variables of the file by name; none where there is no such file.

    Raises UsageError where it cannot be read.
    """
    return {name: _unquoted(written) for name, written in _variables(path)}


def unclosed_names(path: Path = ENV_FILE) -> list[str]:
    """Return the names whose value is more than what stands between quotes, as where a comment follows.

    Quotes and comment are a part of the value then.
    """
    return [
        name
        for name, written in _variables(path)
        if written.startswith(_QUOTES) and written[0] in written[1:] and written == _unquoted(written)
    ]


def _variables(path: Path) -> Iterator[tuple[str, str]]:
    """(name, value as it is written) of each line."""
    if not (path.is_file() or path.is_fifo()):
        return
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path}: it is not UTF-8\n  save it as UTF-8") from None
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror}\n  let this user read it, or take it away"
        ) from None
    for line in re.split(r"\r\n|\r|\n", text):
        name, equals, value = line.strip().partition("=")
        name = name.removeprefix(_EXPORT).strip()
        if equals and name and not name.startswith("#"):
            yield name, value.strip()


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in _QUOTES else value


class Environment(Mapping[str, str]):
    """The variables as they are now: the environment's, and where that says nothing those of the file.

    Both are looked at anew each time.

    An empty value says nothing. What the environment says by NAME_FILE, the file does not say by NAME.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, path: Path = ENV_FILE) -> None:
        self._environ = environ
        self._path = path

    def __getitem__(self, name: str) -> str:
        if value := self._environ.get(name):
            return value
        if not self._environ.get(f"{name}_FILE") and (value := self._of_file().get(name)):
            return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        said = {name for name, value in self._environ.items() if value}
        return iter(said | {name for name, value in self._of_file().items() if value and f"{name}_FILE" not in said})

    def __len__(self) -> int:
        return len(list(iter(self)))

    def origin_of(self, name: str) -> str | None:
        """Return where a variable comes from: "environment", or the file's name; None: it is set nowhere."""
        if name not in self:
            return None
        return OF_THE_ENVIRONMENT if self._environ.get(name) else self._path.name

    def _of_file(self) -> dict[str, str]:
        """Return the variables of the file; none where it cannot be read any more.

        The settings, which it was read for first, were refused otherwise.
        """
        try:
            return read_env_file(self._path)
        except UsageError:
            return {}


ENVIRONMENT: Final = Environment()
"""That of this process, in its working directory."""
