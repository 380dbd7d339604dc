"""Logs: one event a line on stderr, ours and other libraries' alike."""

import logging
import os
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import structlog
from confluent_kafka import Producer

from processor.foundation.log import configure
from processor.foundation.log_repeats import EVERY_SECONDS, Repeats
from processor.foundation.log_streams import EventStream
from processor.foundation.settings import Settings
from processor.kafka.connection import confluent_config


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    """What `configure` sets for the whole process is set back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    for name in ("aiokafka", "botocore", "boto3", "urllib3", "asyncio"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **({"log_format": "json", "log_level": "info"} | values))  # type: ignore[call-arg]  # pydantic-settings' own


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    out, err = capsys.readouterr()
    assert out == ""
    return [orjson.loads(line) for line in err.splitlines()]


def test_an_event_is_one_json_line_with_its_fields_level_and_utc_time(capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings())

    structlog.get_logger("ours").info("partition_taken_over", partition=3, rows=120_000)

    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "partition_taken_over", "level": "info", "partition": 3, "rows": 120_000}


def test_other_libraries_log_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings())

    logging.getLogger("theirs").warning("lost %s", "it", extra={"partition": 3})

    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "lost it", "level": "warning", "partition": 3}


def test_what_is_less_severe_than_the_level_is_left_out_and_noisy_libraries_begin_at_warnings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(settings(log_level="debug"))
    structlog.get_logger().debug("kept")
    logging.getLogger("aiokafka.consumer").info("left out")
    logging.getLogger("aiokafka.consumer").warning("kept too")
    debug = lines(capsys)
    configure(settings(log_level="error"))

    structlog.get_logger().warning("left out")
    logging.getLogger("aiokafka.consumer").warning("left out")

    assert [line["event"] for line in debug] == ["kept", "kept too"]
    assert lines(capsys) == []


def test_an_exception_is_a_field_of_its_event(capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings())
    for log in (structlog.get_logger(), logging.getLogger("theirs")):
        try:
            raise ZeroDivisionError("by nothing")
        except ZeroDivisionError:
            log.exception("failed")

    ours, theirs = lines(capsys)
    for line in (ours, theirs):
        assert line["event"] == "failed"
        assert "ZeroDivisionError: by nothing" in line["exception"]


def test_fields_that_json_does_not_know_do_not_break_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings())

    structlog.get_logger().info("read", key=b"\xff", places={1, 2})

    (line,) = lines(capsys)
    assert line["key"] == "b'\\xff'"


def test_for_people_a_line_is_text_and_an_exception_stays_readable(capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings(log_format="console"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        try:
            raise ZeroDivisionError("by nothing")
        except ZeroDivisionError:
            structlog.get_logger().exception("failed", partition=3)

    err = capsys.readouterr().err
    assert "failed" in err.splitlines()[0]
    assert "partition=3" in err.splitlines()[0]
    assert "ZeroDivisionError: by nothing" in err


@pytest.mark.parametrize("on_terminal", [True, False])
def test_auto_is_console_on_a_terminal_and_json_elsewhere(
    on_terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: on_terminal)
    configure(settings(log_format="auto"))

    structlog.get_logger().info("started")

    assert capsys.readouterr().err.startswith("{") is not on_terminal


def test_what_a_library_says_again_and_again_is_written_once_in_a_while_with_a_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(settings())

    for port in range(5):
        logging.getLogger("aiokafka.conn").warning("no broker at %s", port)
        logging.getLogger("ours").warning("said each time")
    logging.getLogger("aiokafka.conn").warning("something else")

    assert [line["event"] for line in lines(capsys)] == ["no broker at 0", *["said each time"] * 5, "something else"]


def test_after_ten_seconds_it_is_written_again() -> None:
    now = 100.0
    repeats = Repeats(["aiokafka"], lambda: now)
    said = [
        logging.LogRecord("aiokafka.conn", logging.ERROR, "file", 1, "no broker at %s", (number,), None)
        for number in range(4)
    ]

    assert [repeats.filter(record) for record in said[:3]] == [True, False, False]
    now += EVERY_SECONDS
    assert repeats.filter(said[3])
    assert said[3].__dict__["held_back"] == 2


def test_what_is_printed_is_one_json_object_a_text_and_what_is_json_already_stays_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream = EventStream(sys.stderr, "stdout")

    print("two\nlines", file=stream)
    stream.write("a line ")
    stream.write("in pieces\n\n")
    print("\ud800", file=stream)

    assert [(line["event"], line["stream"], line["text"]) for line in lines(capsys)] == [
        ("printed", "stdout", "two\nlines"),
        ("printed", "stdout", "a line in pieces"),
        ("printed", "stdout", "?"),
    ]


def test_in_a_process_of_its_own_warnings_and_uncaught_errors_are_json_too() -> None:
    program = """
import logging, sys, threading, warnings
from processor.foundation.log import configure
from processor.foundation.log_streams import print_events
from processor.foundation.settings import Settings
settings = Settings(log_format="json")
print_events(settings.log_format)
configure(settings)
warnings.warn("look out")
print("said")
thread = threading.Thread(target=lambda: 1 / 0, name="counting")
thread.start()
thread.join()
logging.getLogger("theirs").info("%s %s", "too few")
raise ValueError("the end")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    told = [orjson.loads(line) for line in (*done.stdout.splitlines(), *done.stderr.splitlines())]
    assert done.returncode == 1
    assert any("look out" in line["event"] for line in told)
    assert any("not enough arguments" in line.get("text", "") for line in told), "what logging itself prints"
    assert ("thread_failed", "counting") in [(line["event"], line.get("thread")) for line in told]
    assert "ValueError: the end" in next(line["exception"] for line in told if line["event"] == "uncaught_exception")


def test_librdkafkas_own_lines_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings(log_level="debug"))

    producer = Producer(
        confluent_config(settings(kafka_bootstrap_servers="127.0.0.1:1")) | {"log_level": 7, "debug": "broker"}
    )
    producer.poll(0.1)

    assert any(line.get("logger") == "librdkafka" or "rdkafka" in line["event"] for line in lines(capsys))


def test_lines_of_several_threads_are_whole_where_stderr_is_not_buffered() -> None:
    """PYTHONUNBUFFERED=1, as in most images: each write of Python is one of the operating system, and others come
    between two of them.
    """
    program = """
import logging, sys, threading
import structlog
from processor.foundation.log import configure
from processor.foundation.log_streams import print_events
from processor.foundation.settings import Settings
settings = Settings(log_format="json")
print_events(settings.log_format)
configure(settings)
sys.setswitchinterval(1e-6)
def ours():
    for number in range(4000):
        structlog.get_logger("ours").info("ours", number=number)
def theirs():
    for number in range(4000):
        logging.getLogger("theirs").warning("theirs %d", number)
threads = [threading.Thread(target=each) for each in (ours, theirs)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment)

    events = Counter(orjson.loads(line)["event"].partition(" ")[0] for line in done.stderr.splitlines())
    assert events == {"ours": 4000, "theirs": 4000}
