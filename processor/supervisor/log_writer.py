"""Write lines to stderr by a thread, so that a reader that is slow, or asleep, holds no worker and no signal up.

    processes ─┐
               ├─► LogWriter: a bounded queue of whole lines ─► thread ─► stderr
    supervisor ┘

Lines beyond the bound are dropped and counted, and the log says how many at that place. All lines go by one queue, so
none is torn by another.
"""

import io
import os
import select
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, TextIO

MAX_WAITING_BYTES: Final = 16 * 1024 * 1024
CLOSE_SECONDS: Final = 5.0
_WRITE_BYTES: Final = 64 * 1024


class LogWriter:
    """Lines on their way to a file descriptor; `close` waits for those that are on their way, for a while."""

    def __init__(
        self, handle: int, tell_dropped: Callable[[int], bytes], max_waiting_bytes: int = MAX_WAITING_BYTES
    ) -> None:
        """Start the thread that writes to `handle`; `tell_dropped` makes the line that counts those left out."""
        self._handle, self._tell_dropped, self._max_bytes = handle, tell_dropped, max_waiting_bytes
        self._lines: deque[bytes] = deque()
        self._bytes = self._dropped = 0
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Queue a line, its end included; drop it where too much waits. Never blocks, unless it was closed."""
        if self._closing:
            _write(self._handle, line)
            return
        with self._changed:
            if self._bytes + len(line) > self._max_bytes:
                self._dropped += 1
                return
            if self._dropped:
                self._queue(self._tell_dropped(self._dropped))
                self._dropped = 0
            self._queue(line)
            self._changed.notify()

    def close(self, seconds: float = CLOSE_SECONDS) -> bool:
        """Return when all lines are written, or after so many seconds; whether all are."""
        with self._changed:
            if self._dropped:
                self._queue(self._tell_dropped(self._dropped))
                self._dropped = 0
            self._closing = True
            self._changed.notify()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _queue(self, line: bytes) -> None:
        self._lines.append(line)
        self._bytes += len(line)

    def _write_all(self) -> None:
        while data := b"".join(self._take()):
            _write(self._handle, data)

    def _take(self) -> Iterator[bytes]:
        """Yield some of the lines that wait, once there are any; none where there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._closing)
            taken = 0
            while self._lines and taken < _WRITE_BYTES:
                line = self._lines.popleft()
                taken += len(line)
                self._bytes -= len(line)
                yield line


def _write(handle: int, data: bytes) -> None:
    """Write all of it, however long the reader takes; what cannot be written (nobody reads, no space) is left out."""
    while data:
        try:
            data = data[os.write(handle, data) :]
        except BlockingIOError:  # somebody who shares the terminal made it so
            select.select([], [handle], [])
        except OSError:
            return


class WriterStream(io.TextIOBase):
    """A text stream in the place of stderr, whose lines go by a LogWriter."""

    def __init__(self, writer: LogWriter, original: TextIO) -> None:
        self._writer, self._original = writer, original
        self._text = ""
        self._lock = threading.Lock()

    def write(self, text: str, /) -> int:
        """Queue the lines that end in the text; the rest is kept until its end comes."""
        with self._lock:
            whole, end, self._text = (self._text + text).rpartition("\n")
        if end:
            self._writer.write(f"{whole}\n".encode(errors="backslashreplace"))
        return len(text)

    def isatty(self) -> bool:
        """Return whether a terminal is behind the stream."""
        return self._original.isatty()

    def fileno(self) -> int:
        """The descriptor behind it."""
        return self._original.fileno()

    def writable(self) -> bool:
        """Return whether the stream takes text: always."""
        return True
