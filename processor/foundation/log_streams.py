"""Lead lines to stderr as they are, and what other libraries print as events where logs are JSON.

    logs, the last line ────────────────────────────► stderr
    print, sys.stderr.write ──► EventStream ──► one JSON object a text ──► stdout, stderr
    warnings, uncaught exceptions ──► logs

So every line of a process is one JSON object, whoever wrote it in Python.
"""

import io
import logging
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, TextIO

import orjson
import structlog

from processor.foundation.settings_log import LogFormat

_log: Final = structlog.get_logger(__name__)


class EventStream(io.TextIOBase):
    """A text stream that writes each text as one JSON object: `{"event": "printed", …}`.

    A text ends at a line's end that nothing follows.
    """

    def __init__(self, raw: TextIO, name: str) -> None:
        self.raw, self._name = raw, name
        self._text = ""
        self._lock = threading.Lock()

    def write(self, text: str, /) -> int:
        """Write the text with what was written before it; without a line's end it is kept until that comes."""
        with self._lock:
            self._text += text
            if not self._text.endswith("\n"):
                return len(text)
            whole, self._text = self._text.strip("\r\n"), ""
        if whole.strip():
            self.raw.write(f"{self._event(whole)}\n")
            self.raw.flush()
        return len(text)

    def flush(self) -> None:
        """Flush what was written whole."""
        self.raw.flush()

    def isatty(self) -> bool:
        """Return whether a terminal is behind the stream."""
        return self.raw.isatty()

    def fileno(self) -> int:
        """The descriptor behind it."""
        return self.raw.fileno()

    def writable(self) -> bool:
        """Return whether the stream takes text: always."""
        return True

    def _event(self, text: str) -> str:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        fields = {"event": "printed", "level": "info", "stream": self._name, "text": text, "timestamp": now}
        return orjson.dumps({name: value.encode(errors="replace").decode() for name, value in fields.items()}).decode()


def raw_stderr() -> TextIO:
    """The stream for lines that have their form already: stderr, or what stands behind its EventStream."""
    stream = sys.stderr
    return stream.raw if isinstance(stream, EventStream) else stream


def writes_json(log_format: LogFormat) -> bool:
    """Return whether logs are JSON: as named, or by what stderr is."""
    return log_format == "json" or (log_format == "auto" and not raw_stderr().isatty())


def print_events(log_format: LogFormat) -> None:
    """Have everything that Python code of this process writes be JSON, where logs are JSON.

    It is for what runs until it is stopped.
    """
    if not writes_json(log_format) or isinstance(sys.stderr, EventStream):
        return
    sys.stdout, sys.stderr = EventStream(sys.stdout, "stdout"), EventStream(sys.stderr, "stderr")
    sys.excepthook = _log_uncaught
    sys.unraisablehook = lambda raised: _log.error(
        "unraisable_exception", exc_info=raised.exc_value, place=repr(raised.object)
    )
    threading.excepthook = lambda raised: _log.error(
        "thread_failed", exc_info=raised.exc_value, thread=raised.thread and raised.thread.name
    )
    logging.captureWarnings(capture=True)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _log.critical("uncaught_exception", exc_info=(kind, error, trace))
