"""The last line of a process that cannot go on: what stopped it and what to do, on stderr, in the form of its logs.

    console   profile-exporter: profile-events[3]: offsets 5 to 9 are gone … → to go on without them, set …
    json      {"event": "ended", "level": "error", "reason": "…", "remedy": "…", "exit_code": 3, "timestamp": "…"}

A process that stopped for the operator (exit code 3), or that logs as JSON, says it in one line of at most MAX_BYTES.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Final

import orjson

from processor.foundation.errors import CommandError, StoppedForOperator, what_and_remedy
from processor.foundation.log_streams import raw_stderr, writes_json
from processor.foundation.settings_log import read_log_format

MAX_BYTES: Final = 2_048
_CUT: Final = "…"
_PROGRAM: Final = "profile-exporter: "
_ARROW: Final = " → "
_EVENT: Final = "ended"


@contextmanager
def ending_with_last_line() -> Iterator[None]:
    """Have a CommandError write its last line and end the process with its exit code."""
    try:
        yield
    except CommandError as error:
        write_last_line(error)
        raise SystemExit(error.exit_code) from None


def write_last_line(reason: CommandError) -> None:
    """Write it to stderr, in the form that LOG_FORMAT names, also where other settings are wrong."""
    stream = raw_stderr()
    stream.write(f"{last_line(reason, as_json=writes_json(read_log_format()))}\n")
    stream.flush()


def last_line(reason: CommandError, *, as_json: bool) -> str:
    """Return what stopped a process, and the remedy, as one line; where it is too long, what stopped it is cut."""
    what, remedy = what_and_remedy(reason)
    if as_json:
        return _fitting(lambda text: _as_json(text, remedy, reason.exit_code), what)
    if reason.exit_code != StoppedForOperator.exit_code:
        return f"{_PROGRAM}{reason}"
    return _fitting(lambda text: f"{_PROGRAM}{text}" + (f"{_ARROW}{remedy}" if remedy else ""), what)


def find_reason(lines: Sequence[str], *, as_json: bool) -> str | None:
    """Return the reason that the last of these lines say, its remedy as a line of its own; None where they say none.

    It is the text of the CommandError that a process wrote by `last_line`, as far as that kept it.
    """
    return _find_json(lines) if as_json else _find_text(lines)


def _find_json(lines: Sequence[str]) -> str | None:
    for line in reversed(lines):
        if line.startswith("{") and f'"{_EVENT}"' in line:
            with suppress(orjson.JSONDecodeError):
                fields = orjson.loads(line)
                if fields.get("event") == _EVENT and "reason" in fields:
                    return "\n  ".join(filter(None, [fields["reason"], fields.get("remedy")]))
    return None


def _find_text(lines: Sequence[str]) -> str | None:
    first = next((index for index in reversed(range(len(lines))) if lines[index].startswith(_PROGRAM)), None)
    if first is None:
        return None
    text = "\n".join(lines[first:]).removeprefix(_PROGRAM)
    what, arrow, remedy = text.rpartition(_ARROW)
    return f"{what}\n  {remedy}" if arrow and "\n" not in text else text


def _as_json(what: str, remedy: str, exit_code: int) -> str:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    fields = {
        "event": _EVENT,
        "level": "error",
        "reason": what,
        "remedy": remedy,
        "exit_code": exit_code,
        "timestamp": now,
    }
    return orjson.dumps(fields).decode()


def _fitting(render: Callable[[str], str], what: str) -> str:
    text = what.encode(errors="replace").decode()  # what cannot be encoded would be an error of its own
    while len((line := render(text)).encode()) > MAX_BYTES and text:
        text = text.removesuffix(_CUT)[: len(text) * 9 // 10 - 1] + _CUT if len(text) > len(_CUT) else ""
    return line
