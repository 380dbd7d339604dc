"""Fixtures for tests that need a real broker or a Kinesis endpoint. What they stand on is in tests/kit.

    def test_something(installation: Installation, kinesis: str) -> None: ...

A test that uses `kafka`, `own_kafka` or `installation` carries the marker `kafka` by itself. Without Java or Maven it
is skipped; with PROFILE_EXPORTER_REQUIRE_KAFKA=1 it fails instead. `make test` runs tests in several processes
(tests/kit/parallel.py).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from processor.sandbox.endpoint import KinesisEndpoint
from tests.kit.distribution import KafkaUnavailable
from tests.kit.examples import draw_the_same_examples_everywhere
from tests.kit.installation import Installation
from tests.kit.kafka import KafkaFailed, RealKafka
from tests.kit.kinesis_local import KinesisLocal, KinesisLocalUnavailable
from tests.kit.parallel import Durations, SharedBroker, recorded_durations, shared_broker, slowest_first

NEEDS_KAFKA = frozenset({"kafka", "own_kafka"})
REQUIRE_KAFKA = "PROFILE_EXPORTER_REQUIRE_KAFKA"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record-durations",
        action="store_true",
        help="write tests/durations.json: by it `pytest -n` starts the slowest first",
    )


def pytest_configure(config: pytest.Config) -> None:
    draw_the_same_examples_everywhere()
    if is_xdist_worker(config):
        return
    config.pluginmanager.register(SharedBroker())
    if config.getoption("--record-durations"):
        config.pluginmanager.register(Durations())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and not NEEDS_KAFKA.isdisjoint(item.fixturenames):
            item.add_marker(pytest.mark.kafka)
    if is_xdist_worker(config):
        items[:] = slowest_first(items, recorded_durations())


def is_xdist_worker(config: pytest.Config) -> bool:
    """Return whether this process tests for a controller (`pytest -n`)."""
    return hasattr(config, "workerinput")


@contextmanager
def required() -> Iterator[None]:
    try:
        yield
    except KafkaUnavailable as missing:
        if os.environ.get(REQUIRE_KAFKA) == "1":
            pytest.fail(f"{REQUIRE_KAFKA}=1, but there is no Kafka: {missing}", pytrace=False)
        pytest.skip(f"NO KAFKA, NOT TESTED: {missing}")
    except KafkaFailed as failed:
        pytest.fail(str(failed), pytrace=False)


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[str]:
    """The bootstrap address of the broker that all tests share; BROKER names another (tests/kit/brokers.py)."""
    with required(), shared_broker(request.config) as bootstrap_servers:
        yield bootstrap_servers


@pytest.fixture
def own_kafka() -> Iterator[RealKafka]:
    """A broker of the test's own, to be stopped, killed or frozen; about three seconds."""
    with required(), RealKafka() as broker:
        yield broker


@pytest.fixture
def installation(kafka: str, tmp_path: Path) -> Installation:
    """An installation with names of its own on the shared broker; its topics are not there before `init`."""
    return Installation(kafka, tmp_path / "data")


@pytest.fixture(scope="session")
def kinesis() -> Iterator[str]:
    """The URL of a Kinesis endpoint that all tests share; KINESIS_ENDPOINT names another.

    Name streams after the installation.
    """
    if named := os.environ.get("KINESIS_ENDPOINT"):
        yield named
        return
    with KinesisEndpoint() as endpoint:
        yield endpoint.url


@contextmanager
def second_endpoint() -> Iterator[str]:
    try:
        with KinesisLocal() as endpoint:
            yield endpoint.url
    except KinesisLocalUnavailable as missing:
        pytest.skip(f"NO KINESIS-LOCAL, NOT TESTED: {missing}")


@pytest.fixture(scope="session")
def kinesis_local() -> Iterator[str]:
    """The URL of the second endpoint, which all tests share; where it cannot be had, they are skipped."""
    with second_endpoint() as url:
        yield url


@pytest.fixture(params=["kinesis", "kinesis_local"], ids=["moto", "kinesis-local"])
def each_kinesis(request: pytest.FixtureRequest) -> str:
    """The URL of one endpoint after the other: what must hold of any Kinesis."""
    url: str = request.getfixturevalue(request.param)
    return url
