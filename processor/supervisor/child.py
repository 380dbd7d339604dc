"""One worker process: started in a session of its own, its output handed on line by line, its end waited for.

stdin            the read end of a pipe whose write end we hold: its end tells the process that we are gone
stdout, stderr   one pipe; we read it, and the process holds its read end too, for the day that we are gone
session          its own: Ctrl-C on a terminal reaches the supervisor alone, which then says it once to each
"""

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, Self

from processor.foundation.last_line import find_reason
from processor.foundation.supervised import Link
from processor.supervisor.log_lines import LineSplitter

OUTPUT_SECONDS: Final = 2.0
"""How long the output of a process that ended is waited for: a process that it started may hold its pipe open."""
_LAST_LINES: Final = 200


class ChildProcess:
    """A process that runs, until `wait` returns."""

    def __init__(self, process: asyncio.subprocess.Process, alive: int, output: "_Output", *, as_json: bool) -> None:
        self._process, self._alive, self._output, self._as_json = process, alive, output, as_json

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        environment: Mapping[str, str],
        stderr: int,
        on_line: Callable[[bytes], None],
        *,
        as_json: bool,
    ) -> Self:
        """Start a process of `command --supervised OUTPUT STDERR`; raise OSError where the system starts none.

        `stderr` is a handle of the supervisor's stderr, `on_line` gets each line of the process, and `as_json` says in
        which form it logs.
        """
        (stdin, alive), (output, written) = os.pipe(), os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                "--supervised",
                *map(str, Link(output, stderr)),
                env=environment,
                stdin=stdin,
                stdout=written,
                stderr=written,
                pass_fds=Link(output, stderr),
                start_new_session=True,
            )
        except BaseException:
            os.close(alive)
            os.close(output)
            raise
        finally:
            os.close(stdin)
            os.close(written)
        return cls(process, alive, await _Output.read(output, on_line), as_json=as_json)

    @property
    def pid(self) -> int:
        """Return the id of the process."""
        return self._process.pid

    def stop(self) -> None:
        """Tell it to stop in order."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._send(signal.SIGKILL)

    async def wait(self) -> int:
        """Return its exit code, minus the number of a signal, when it has ended and its last line was handed on."""
        code = await self._process.wait()
        os.close(self._alive)
        await self._output.finish()
        return code

    def find_words(self) -> str | None:
        """Return why it ended, by its last line; None where it left no word."""
        return find_reason(self._output.last_lines, as_json=self._as_json)

    def _send(self, number: int) -> None:
        with suppress(ProcessLookupError):  # it ended just now
            self._process.send_signal(number)


class _Output(asyncio.Protocol):
    """The lines of one process; the last of them are kept."""

    def __init__(self, on_line: Callable[[bytes], None]) -> None:
        self._on_line, self._splitter = on_line, LineSplitter()
        self._last: deque[bytes] = deque(maxlen=_LAST_LINES)
        self._ended = asyncio.Event()
        self._transport: asyncio.BaseTransport | None = None

    @classmethod
    async def read(cls, handle: int, on_line: Callable[[bytes], None]) -> Self:
        """Hand the lines of a pipe on, as they come; the pipe is closed at the end."""
        pipe = os.fdopen(handle, "rb", 0)
        _, output = await asyncio.get_running_loop().connect_read_pipe(lambda: cls(on_line), pipe)
        return output

    @property
    def last_lines(self) -> list[str]:
        """The last lines as text."""
        return [line.decode(errors="replace") for line in self._last]

    async def finish(self) -> None:
        """Return when all lines were handed on."""
        with suppress(TimeoutError):
            async with asyncio.timeout(OUTPUT_SECONDS):
                await self._ended.wait()
        assert self._transport is not None
        self._transport.close()
        self._hand_on(self._splitter.finish())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the pipe to close it."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Hand on the lines that end in these bytes."""
        self._hand_on(self._splitter.split(data))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """Note that nobody writes any more."""
        self._ended.set()

    def _hand_on(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            self._last.append(line)
            self._on_line(line)
