"""Java's own producer, run from the jars that the broker is started from (tests/kit/distribution.py)."""

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.kit.distribution import java, kafka_distribution

SECONDS: Final = 240.0
_PROGRAM: Final = Path(__file__).with_name("KeyedRecords.java")


def produce_with_java(bootstrap_servers: str, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
    """Write (key, value) each with Java's default partitioner; returns when the broker has acknowledged them.

    Raises KafkaUnavailable.
    """
    lines = "".join(f"{key.hex()} {value.hex()}\n" for key, value in records)
    command = [
        java(),
        "-XX:TieredStopAtLevel=1",
        "-cp",
        f"{kafka_distribution()}/*",
        str(_PROGRAM),
        bootstrap_servers,
        topic,
    ]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
