"""Prepare what the tour runs on: a broker and a Kinesis endpoint, its own or named ones, and clean up afterwards.

broker      none named   embedded, at least once: it accepts transactions without honouring them
            host:port    that one, exactly once; topics with names that nobody else has
            docker       the `kafka` service of docker/compose.yaml, started if it must be and left running
endpoint    none named   moto's, a child process; else an http://127.0.0.1:PORT with streams that nobody else has
"""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from confluent_kafka.admin import AdminClient

from processor.foundation.errors import UsageError
from processor.foundation.settings import Settings
from processor.foundation.settings_environment import ENV_PREFIX, env_name
from processor.kafka.admin import Admin
from processor.kafka.connection import confluent_config
from processor.kafka.topics import topic_specs
from processor.sandbox.broker import EmbeddedBroker
from processor.sandbox.endpoint import KinesisEndpoint
from processor.sandbox.errors import SandboxFailed
from processor.sandbox.flows import fill_shop_template, parse_shop_configuration, worker_environment
from processor.sandbox.streams import LOOPBACK, delete_stream

PARTITIONS: Final = 4
SESSION_TIMEOUT_SECONDS: Final = 6  # the least that Kafka allows by default (group.min.session.timeout.ms)
RESPONSE_SECONDS: Final = 20.0
COMPOSE_SECONDS: Final = 240.0

_COMPOSE: Final = ("docker", "compose", "-f", "docker/compose.yaml")
_PORT_IN_CONTAINER: Final = "9092"


@dataclass(frozen=True, slots=True)
class TourEnvironment:
    """The environment of a tour: `variables` for a worker or command, and `settings` as read from them.

    `suffix` belongs to all names of streams, and is empty on an endpoint of the tour's own.
    """

    settings: Settings
    variables: Mapping[str, str]
    endpoint_url: str
    suffix: str
    has_own_broker: bool


@contextmanager
def prepare_environment(
    directory: Path, broker: str | None, kinesis_endpoint: str | None, *, keep: bool
) -> Iterator[TourEnvironment]:
    """Yield the environment of one tour, and remove it afterwards; `directory` is for the worker's state.

    `keep` leaves what was made on a broker or endpoint that was named.
    """
    run = uuid4().hex[:8]
    values: dict[str, Any] = {
        "partitions": PARTITIONS,
        "data_dir": directory / "data",
        "session_timeout_seconds": SESSION_TIMEOUT_SECONDS,
        "log_format": "console",
        "app_id": "demo",
        "membership_expiry": False,  # the scenario lies in the past: every membership that can end would
    }
    with ExitStack() as stack:
        if broker:
            values |= _named_broker(broker, run)
            inherited = dict(os.environ)
        else:
            values = _own_broker(values, stack)
            inherited = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
        settings = _settings(values)
        if broker:
            Admin(settings).partition_counts()  # nobody there: that is the error to report
        if broker and not keep:
            stack.callback(_remove_topics, settings)
        url, suffix = _endpoint(kinesis_endpoint, run, stack, keep=keep)
        ours = {env_name(field): str(value) for field, value in values.items() if value is not None}
        variables = worker_environment(inherited) | ours | _no_proxy()
        yield TourEnvironment(settings, variables, url, suffix, not broker)


def _named_broker(broker: str, run: str) -> dict[str, Any]:
    """Return the settings for a broker that was named, with names of topics that nobody else has."""
    return {
        "kafka_bootstrap_servers": _address(broker),
        "app_id": f"demo-{run}",
        "topic_prefix": f"demo-{run}-",
    }


def _own_broker(values: Mapping[str, Any], stack: ExitStack) -> dict[str, Any]:
    """Start an embedded broker, and return all settings for it."""
    complete = _defaults() | dict(values) | {"processing_guarantee": "at_least_once"}
    topics = {spec.name: spec.partitions for spec in topic_specs(_settings(complete))}
    return complete | {"kafka_bootstrap_servers": stack.enter_context(EmbeddedBroker(topics)).bootstrap_servers}


def _endpoint(named: str | None, run: str, stack: ExitStack, *, keep: bool) -> tuple[str, str]:
    """Return the address of the endpoint, started where none was named, and the suffix of all names of streams."""
    if not named:
        return stack.enter_context(KinesisEndpoint()).url, ""
    url, suffix = _on_loopback(named), f"-{run}"
    if not keep:
        stack.callback(_remove_streams, url, suffix)
    return url, suffix


def _settings(values: Mapping[str, Any]) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg]  # pydantic-settings' own argument


def _defaults() -> dict[str, Any]:
    """Return every setting at its default, so that nothing of this machine's environment gets in."""
    return {name: field.default for name, field in Settings.model_fields.items()}


def _no_proxy() -> dict[str, str]:
    """Return the variables that keep calls on loopback from a proxy."""
    return {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def _address(broker: str) -> str:
    if broker != "docker":
        return broker
    _compose("up", "-d", "--wait", "kafka")
    return _compose("port", "kafka", _PORT_IN_CONTAINER)


def _compose(*arguments: str) -> str:
    command = [*_COMPOSE, *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMPOSE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxFailed(f"BROKER=docker: {error}") from None
    if done.returncode != 0:
        raise SandboxFailed(f"BROKER=docker: `{' '.join(command)}` failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()


def _on_loopback(url: str) -> str:
    if urlsplit(url).hostname not in LOOPBACK:
        raise UsageError(f"KINESIS_ENDPOINT={url} is not on this machine, where the tour stays: http://127.0.0.1:PORT")
    return url


def _remove_streams(url: str, suffix: str) -> None:
    for flow in parse_shop_configuration(fill_shop_template(url, suffix)).flows:
        delete_stream(url, flow.destination.region, flow.destination.stream)


def _remove_topics(settings: Settings) -> None:
    """Remove the topics of this run; its group ends by itself when its offsets expire."""
    client = AdminClient(confluent_config(settings))
    present = set(client.list_topics(timeout=RESPONSE_SECONDS).topics)
    ours = [spec.name for spec in topic_specs(settings) if spec.name in present]
    if ours:
        for removal in client.delete_topics(ours, operation_timeout=RESPONSE_SECONDS).values():
            removal.result(RESPONSE_SECONDS)
