"""Read the ids of profiles that a command is given, arguments and lines of a file; all faults at once."""

from collections.abc import Iterable, Iterator
from typing import Final

from processor.core.profile_id import MAX_KEY_BYTES, fault_of_id
from processor.foundation.errors import UsageError

_BOM: Final = b"\xef\xbb\xbf"
_MOST_FAULTS: Final = 20


def read_ids(named: Iterable[str], lines: Iterable[bytes], file_name: str) -> list[str]:
    """Return each id once, in the order given; an empty line is none.

    Raises UsageError, naming what is no id of a profile, or that there is none.
    """
    ids: dict[str, None] = {}
    faults: list[str] = []
    for origin, given in _given(named, lines, file_name):
        if fault := _fault(given):
            faults.append(f"  {origin}: {fault}")
        else:
            ids[given.decode()] = None
    if faults:
        rest = [f"  and {len(faults) - _MOST_FAULTS} more"] if len(faults) > _MOST_FAULTS else []
        raise UsageError(
            "\n".join(["not every id can be that of a profile; nothing was written:", *faults[:_MOST_FAULTS], *rest])
        )
    if not ids:
        raise UsageError("name at least one profile: its ID, or a --file of ids")
    return list(ids)


def _given(named: Iterable[str], lines: Iterable[bytes], file_name: str) -> Iterator[tuple[str, bytes]]:
    """Yield (argument or line, the bytes) of each id."""
    for number, text in enumerate(named, 1):
        yield f"ID {number}", text.encode(errors="surrogateescape")  # as the shell gave it
    for number, line in enumerate(lines, 1):
        if given := line.removeprefix(_BOM if number == 1 else b"").removesuffix(b"\n").removesuffix(b"\r"):
            yield f"{file_name} line {number}", given


def _fault(given: bytes) -> str | None:
    if not given:
        return "it is empty"
    if len(given) > MAX_KEY_BYTES:
        return f"it has {len(given)} bytes, {MAX_KEY_BYTES} are allowed"
    try:
        text = given.decode()
    except UnicodeDecodeError:
        return f"it is not UTF-8: {given[:40]!r}"
    fault = fault_of_id(text)
    return fault and f"it {fault}"
