"""A worker reads flows as they were put into force, by whichever version (M2), and says what would be refused now
(M5).
"""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from structlog.testing import capture_logs

from processor.catalog.follower import CatalogFollower
from processor.kafka.topics import topic_specs
from processor.kafka.writer import Writer
from processor.sandbox.broker import EmbeddedBroker
from tests.kit.installation import Installation

DESTINATION = {"type": "kinesis", "stream": "s", "region": "us-east-2"}


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation("127.0.0.1:1", tmp_path / "data")
    with EmbeddedBroker({spec.name: spec.partitions for spec in topic_specs(made.settings)}) as broker:
        made.change(kafka_bootstrap_servers=broker.bootstrap_servers)
        yield made


def put(installation: Installation, flow_id: str, *attributes: str, **options: str) -> None:
    """As an earlier version wrote it."""
    flow = {"id": flow_id, "destination": DESTINATION, "attributes": list(attributes), "options": options}
    with Writer(installation.settings) as writer:
        writer.write(
            installation.topics.flows, flow_id.encode(), orjson.dumps({"flow": flow, "etag": "e"}), name="flow"
        )


def failed(error: BaseException) -> None:
    raise error


async def test_m2_m5_a_flow_with_a_path_that_is_refused_now_goes_on_and_is_told_once(
    installation: Installation,
) -> None:
    put(installation, "old", "/person/name", "a", consentGate="consents[0]")
    put(installation, "prefixed", "xdm:person", "person", partitionKey="attribute:xdm:person.xdm:id")
    follower = CatalogFollower(installation.settings, failed)

    with capture_logs() as said:
        await follower.start()
        put(installation, "later", "b")
        await follower.reach_end()
        await follower.close()

    flows = {flow.id: flow for flow in follower.catalog.flows}
    assert set(flows) == {"old", "prefixed", "later"}
    assert [attribute.path for attribute in flows["old"].attributes_by_root["/person/name"]] == [("/person/name",)]
    assert [attribute.cause for attribute in flows["prefixed"].attributes_by_root["person"]] == ["attribute:person"]
    assert flows["prefixed"].partition_key.path == ("person", "id")
    told = [line["fault"].partition(" is not")[0] for line in said if line["event"] == "flow_path_matches_nothing"]
    assert told == ["attributes: /person/name", "options.consentGate: consents[0]"]
