"""Lines on their way to stderr: nobody waits for a reader that is slow, and what was left out is counted."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from processor.supervisor.log_writer import LogWriter, WriterStream

SECONDS = 60.0
_OPEN = set[int]()
"""Ends of pipes that are open: closed twice, a number might be somebody else's by then."""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    with ExitStack() as stack:
        for handle in (read, write):
            _OPEN.add(handle)
            stack.callback(close, handle)
        yield read, write


def close(handle: int) -> None:
    if handle in _OPEN:
        _OPEN.remove(handle)
        os.close(handle)


def told(count: int) -> bytes:
    return b"dropped %d\n" % count


def test_lines_arrive_in_their_order_and_all_before_the_end(pipe: tuple[int, int]) -> None:
    read, write = pipe
    writer = LogWriter(write, told)
    lines = [b"line %d\n" % number for number in range(2_000)]

    for line in lines:
        writer.write(line)

    assert writer.close(SECONDS)
    assert read_all(read, write) == b"".join(lines)


def test_a_reader_that_sleeps_holds_nobody_up_and_learns_what_it_missed(pipe: tuple[int, int]) -> None:
    """The pipe takes 64 KiB, the queue 100 kB, and 10,000 lines of 100 bytes are written."""
    read, write = pipe
    writer = LogWriter(write, told, max_waiting_bytes=100_000)
    lines = [b"%099d\n" % number for number in range(10_000)]
    for line in lines:
        writer.write(line)
    assert not writer.close(0.1), "nobody reads"

    found = read_while(read, write, lambda: writer.close(SECONDS))

    kept, dropped = 0, 0
    for line in found.splitlines(keepends=True):
        if line.startswith(b"dropped "):
            dropped += int(line.split()[1])
        else:
            assert line == lines[kept + dropped], "in order, and what is missing was told before"
            kept += 1
    assert kept + dropped == len(lines)
    assert kept >= 1_000
    assert dropped >= 7_000, "pipe, queue and thread hold 2,400 at most"


def test_a_reader_that_is_gone_is_no_fault(pipe: tuple[int, int]) -> None:
    read, write = pipe
    close(read)
    writer = LogWriter(write, told)

    writer.write(b"line\n")

    assert writer.close(SECONDS)


def test_a_terminal_that_somebody_made_non_blocking_gets_all_lines(pipe: tuple[int, int]) -> None:
    read, write = pipe
    os.set_blocking(write, False)
    writer = LogWriter(write, told)
    lines = [b"%0999d\n" % number for number in range(1_000)]
    for line in lines:
        writer.write(line)

    assert read_while(read, write, lambda: writer.close(SECONDS)) == b"".join(lines)


def test_a_stream_hands_on_whole_lines_and_a_closed_writer_writes_at_once(pipe: tuple[int, int]) -> None:
    read, write = pipe
    writer = LogWriter(write, told)
    with os.fdopen(os.dup(write), "w") as original:
        stream = WriterStream(writer, original)
        for text in ("one ", "line\nand", " another\n"):
            stream.write(text)
        assert writer.close(SECONDS)
        stream.write("the last\n")

    assert read_all(read, write) == b"one line\nand another\nthe last\n"


def read_all(read: int, write: int) -> bytes:
    return read_while(read, write, lambda: None)


def read_while(read: int, write: int, done: object) -> bytes:
    """Read everything, and close the end that is written to when `done` returns."""
    found: list[bytes] = []

    def collect() -> None:
        while data := os.read(read, 65_536):
            found.append(data)

    reader = threading.Thread(target=collect)
    reader.start()
    done()  # type: ignore[operator]
    close(write)
    reader.join(SECONDS)
    return b"".join(found)
