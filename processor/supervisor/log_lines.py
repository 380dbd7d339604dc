"""Split what processes write into lines, and say of each line which process wrote it. Pure.

    console   process 2 | 2026-01-11T23:37:33.123456Z [info     ] partitions_taken_over …
    json      {"process": 2, "event": "partitions_taken_over", …}

Where logs are JSON every line stays one JSON object: what is none (a library's C code, the system's loader) is the text
of one.
"""

from datetime import UTC, datetime
from typing import Final

import orjson

from processor.foundation.clocks import WallClock

MAX_LINE_BYTES: Final = 1024 * 1024
"""A longer line is passed on in pieces: what never ends a line must not fill the memory."""


class LineSplitter:
    """Lines out of the bytes of one stream, as they come; a line has no line end any more."""

    def __init__(self) -> None:
        self._rest = b""

    def split(self, data: bytes) -> list[bytes]:
        """Return the lines that end in these bytes; what follows is kept for the next ones."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            lines.append(self._rest)
            self._rest = b""
        return lines

    def finish(self) -> list[bytes]:
        """Return the last line where nothing ended it; none otherwise."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


def mark_line(line: bytes, process: int, *, as_json: bool, wall_clock: WallClock) -> bytes:
    """Return the line with the number of its process, and a line end."""
    line = line.rstrip(b"\r")
    if not as_json:
        return b"process %d | %s\n" % (process, line)
    if not _is_object(line):
        line = _as_printed(line, wall_clock())
    members = line.strip()[1:].lstrip()
    return b'{"process":%d%s%s\n' % (process, b"" if members == b"}" else b",", members)


def tell_dropped(lines: int, *, as_json: bool, wall_clock: WallClock) -> bytes:
    """Return the line that stands where so many lines were left out, since nobody took them in time."""
    if as_json:
        fields = {"event": "lines_dropped", "level": "warning", "lines": lines, "timestamp": _time(wall_clock())}
        return orjson.dumps(fields) + b"\n"
    return b"%s [warning  ] lines_dropped lines=%d\n" % (_time(wall_clock()).encode(), lines)


def _is_object(line: bytes) -> bool:
    if not line.lstrip().startswith(b"{"):
        return False
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def _as_printed(line: bytes, now: float) -> bytes:
    text = line.decode(errors="replace")
    return orjson.dumps({"event": "printed", "level": "info", "text": text, "timestamp": _time(now)})


def _time(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat().replace("+00:00", "Z")
