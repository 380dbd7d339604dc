"""The broker that the environment asks for.

BROKER=host:port   one that runs already
BROKER=docker      the `kafka` service of docker/compose.yaml; it is started, and left running
unset              RealKafka, for as long as the context lasts
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.kit.kafka import KafkaFailed, RealKafka, answers

ANSWER_SECONDS: Final = 10.0
COMPOSE_SECONDS: Final = 240.0

_ROOT: Final = Path(__file__).parents[2]
_COMPOSE: Final = ("docker", "compose", "-f", "docker/compose.yaml")
_PORT_IN_CONTAINER: Final = "9092"


@contextmanager
def asked_broker() -> Iterator[str]:
    """Give the address of the broker that the environment asks for.

    Raises KafkaUnavailable where this machine cannot run one, KafkaFailed where it should but does not answer.
    """
    asked = os.environ.get("BROKER", "")
    if not asked:
        with RealKafka() as kafka:
            yield kafka.bootstrap_servers
        return
    address = _compose_kafka() if asked == "docker" else asked
    _wait_for_answer(address, f"BROKER={asked}")
    yield address


def _compose_kafka() -> str:
    _compose("up", "-d", "--wait", "kafka")
    return _compose("port", "kafka", _PORT_IN_CONTAINER)


def _compose(*arguments: str) -> str:
    try:
        done = subprocess.run(
            [*_COMPOSE, *arguments],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMPOSE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KafkaFailed(f"BROKER=docker: {error}") from None
    if done.returncode != 0:
        raise KafkaFailed(
            f"BROKER=docker: `{' '.join([*_COMPOSE, *arguments])}` failed: {(done.stderr or done.stdout).strip()}"
        )
    return done.stdout.strip()


def _wait_for_answer(address: str, named: str) -> None:
    deadline = time.monotonic() + ANSWER_SECONDS
    while not answers(address):
        if time.monotonic() > deadline:
            raise KafkaFailed(f"{named}: no answer from {address} within {ANSWER_SECONDS:.0f} s")
