"""Installations whose topics are there.

Commands must work on both brokers: their main ways are tested on both, the rest on the real one.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from processor.kafka.topics import topic_specs
from processor.sandbox.broker import EmbeddedBroker
from tests.kit.installation import Installation


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.kafka)])
def ready(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """Its topics have four partitions, or one."""
    if request.param == "real":
        installation: Installation = request.getfixturevalue("installation")
        installation.init()
        yield installation
        return
    installation = Installation("127.0.0.1:1", tmp_path / "data")
    with EmbeddedBroker({spec.name: spec.partitions for spec in topic_specs(installation.settings)}) as broker:
        installation.change(kafka_bootstrap_servers=broker.bootstrap_servers)
        yield installation


@pytest.fixture
def prepared(installation: Installation) -> Installation:
    """On the real broker."""
    installation.init()
    return installation
