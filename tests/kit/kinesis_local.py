"""A second Kinesis endpoint, kinesis-local, so that nothing leans on moto's habits.

https://github.com/etspaceman/kinesis-mock, MIT

    with KinesisLocal() as endpoint: … endpoint.url …

npm fetches it once into `.tools/`, from whichever registry npm is configured for: one file of JavaScript, without
dependencies. It keeps everything in memory and takes any credentials. What it does, and moto does not:

    a record over the stream's own limit (1 to 10 MiB, CreateStream's MaxRecordSizeInKiB) fails alone, by an entry's
    error a call that is rejected has stored nothing, a page of ListStreams holds 100 names as AWS', a partition key has
    a character at least

It counts the data of a record without its key, does not throttle, and does not mind calls over 500 records or 10 MiB; a
MiB takes it half a second.

.tools/kinesis-local-0.6.2/main.js
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from processor.sandbox.child import ChildServer, die_with_parent
from tests.kit.tools import TOOLS, locked

VERSION: Final = "0.6.2"
INTEGRITY: Final = "sha512-mFlmksPMQP/A3nT22N2E8WzUbJcbEdxkCnhNCx2lHj20CW4vzuVH8zn5ByRg5LS5es8tvnx2mY1DpbZ5kw9PPQ=="
"""Of the package, as npm computes it; npm takes nothing else for it."""

FETCH_SECONDS: Final = 120.0
_NAME: Final = "kinesis-local"
_PLACE: Final = f"node_modules/{_NAME}"
_SAID_CHARACTERS: Final = 2000
_ON_LOOPBACK: Final = Path(__file__).with_name("on_loopback.cjs")
_ENVIRONMENT: Final = {
    "LOG_LEVEL": "ERROR",
    "SHARD_LIMIT": "1000",
    "CREATE_STREAM_DURATION": "1ms",
    "DELETE_STREAM_DURATION": "1ms",
}


class KinesisLocalUnavailable(Exception):
    """Kinesis-local cannot be had on this machine; the text says what is missing."""


class KinesisLocal:
    """The endpoint while the context lasts; it leaves no process behind, also when this process is killed.

    Raises KinesisLocalUnavailable without node or npm, or when it cannot be fetched within 2 min; ChildError when it
    does not come up.
    """

    def __init__(self) -> None:
        self._server = ChildServer(__name__)
        self.url = ""

    def __enter__(self) -> Self:
        program("node")
        kinesis_local()
        self.url = self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()


def program(name: str) -> str:
    """Return where `node` or `npm` is; raise KinesisLocalUnavailable."""
    if found := shutil.which(name):
        return found
    raise KinesisLocalUnavailable(
        f"`{name}` is missing: {_NAME} {VERSION}, the second Kinesis endpoint, needs Node.js 20 or newer with npm"
    )


def kinesis_local() -> Path:
    """The folder of the package; raises KinesisLocalUnavailable."""
    folder = TOOLS / f"{_NAME}-{VERSION}"
    if folder.is_dir():
        return folder
    npm = program("npm")
    TOOLS.mkdir(exist_ok=True)
    with locked(TOOLS / f"{_NAME}.lock"):
        if not folder.is_dir():  # somebody else was faster
            _fetch(npm, folder)
    return folder


def _fetch(npm: str, folder: Path) -> None:
    """Beside its place, renamed when complete: it is there whole, or not at all."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as beside:
        for name, content in _project().items():
            (Path(beside) / name).write_text(json.dumps(content))
        _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], Path(beside))
        (Path(beside) / _PLACE).rename(folder)


def _project() -> dict[str, object]:
    """Return the files `npm ci` installs from: a lock with the package's hash, without the address it came from."""
    wanted = {"dependencies": {_NAME: VERSION}}
    packages = {"": wanted, _PLACE: {"version": VERSION, "integrity": INTEGRITY}}
    return {"package.json": wanted, "package-lock.json": {"lockfileVersion": 3, "requires": True, "packages": packages}}


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise KinesisLocalUnavailable(
            f"{command[0]} did not fetch {_NAME} {VERSION} within {FETCH_SECONDS:.0f} s"
        ) from None
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[-_SAID_CHARACTERS:]
        raise KinesisLocalUnavailable(f"{_NAME} {VERSION} could not be fetched; {command[0]} said: {said or 'nothing'}")


def _serve() -> None:
    """In the child: become node."""
    die_with_parent()
    folder = kinesis_local()
    os.environ.update(_ENVIRONMENT | {"KINESIS_MOCK_CERT_PATH": str(folder / "server.json")})
    os.execv(program("node"), [_NAME, "--require", str(_ON_LOOPBACK), str(folder / "main.js")])


if __name__ == "__main__":
    _serve()
