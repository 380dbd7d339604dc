"""Tests of a broker that does not let us describe how topics are configured (F3).

Every check that this turns off is said, and the state stays right.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson
import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public names that its __init__ does not list
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from rocksdict import Options, Rdict

from processor.foundation.settings import Settings
from processor.kafka.admin import Admin
from processor.kafka.errors import BrokerUnreachable, ReadFailed, UnsafeTopics
from processor.kafka.ground import Ground
from processor.kafka.neighbours import require_alone
from processor.kafka.reading import read_topic
from processor.kafka.writer import Writer
from processor.sandbox.shop import shop_events
from processor.sandbox.waiting import wait_until
from schemas.flow import Flow
from schemas.wire.flows import StoredFlow, encode_flow
from tests.conftest import required
from tests.kit.installation import Installation
from tests.kit.kafka import RealKafka
from tests.kit.rows import require_rows_of_the_fold
from tests.kit.topics import alter_topic
from tests.kit.whole_job import WholeJob

pytestmark = pytest.mark.xdist_group("rights")  # one broker for the module

SECONDS: Final = 240.0
MONTH_SECONDS: Final = 30 * 86_400.0
AUTHORIZING: Final = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}


@pytest.fixture(scope="module")
def authorizing_kafka() -> Iterator[str]:
    with required(), RealKafka(properties=AUTHORIZING) as broker:
        yield broker.bootstrap_servers


@pytest.fixture
def installation(authorizing_kafka: str, tmp_path: Path) -> Installation:
    made = Installation(authorizing_kafka, tmp_path / "data")
    made.init(1)
    return made


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    job = WholeJob(installation, kinesis, tmp_path)
    job.create_streams()
    job.apply()
    return job


def deny_describe_configs(installation: Installation, *topics: str) -> None:
    deny(installation, AclOperation.DESCRIBE_CONFIGS, *topics)


def deny(installation: Installation, denied: AclOperation, *topics: str) -> None:
    """Everything else stays allowed, to everybody, who on a plain listener is ANONYMOUS."""
    everywhere = (AclOperation.ALL, AclPermissionType.ALLOW, "*")
    rules = [everywhere, *((denied, AclPermissionType.DENY, topic) for topic in topics)]
    acls = [
        AclBinding(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", operation, permission)
        for operation, permission, topic in rules
    ]
    client = AdminClient({"bootstrap.servers": installation.settings.kafka_bootstrap_servers})
    for answer in client.create_acls(acls).values():
        answer.result(SECONDS)


def process_all(job: WholeJob, name: str) -> str:
    with job.worker(name) as worker:
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()
        return worker.said()


def age(data: Path) -> None:
    """Have the copy say that it was written to last a month ago."""
    database = Rdict(str(data / "profiles" / "0"), Options(raw_mode=True))
    next_offset, applied_at, last_row_offset = orjson.loads(database[b"\x00changelog"])
    database[b"\x00changelog"] = orjson.dumps((next_offset, applied_at - MONTH_SECONDS, last_row_offset))
    database.close()


@pytest.mark.kafka
@pytest.mark.timeout(900)
def test_without_the_right_to_describe_configs_an_old_copy_is_made_anew_and_what_is_not_checked_is_said(
    job: WholeJob,
) -> None:
    """A copy of a month ago may have missed a tombstone: its deleted profile would live again (F3)."""
    settings = job.installation.settings
    job.send(shop_events(200, customers=40))
    process_all(job, "away-for-a-month")
    age(job.folder("away-for-a-month") / "data")
    job.send(shop_events(100, customers=40, seed=9))
    process_all(job, "meanwhile")
    deny_describe_configs(job.installation, *settings.topics)

    check, init = job.installation.command("check"), job.installation.command("init")
    sent = job.installation.command("send", "-", stdin="")
    said = process_all(job, "away-for-a-month")

    assert "the changelog keeps tombstones 86400 s" in said
    assert "local_state_wiped" in said
    require_rows_of_the_fold(job, job.require_equal_to_replay(), [job.folder("away-for-a-month") / "data"])
    assert "topics_not_checked" in said
    assert "a deleted profile may come back" in said
    for result in (check, init, sent):
        assert "DescribeConfigs is denied" in result.output
        assert "kafka-acls.sh" in result.output
    assert (init.exit_code, sent.exit_code) == (0, 0)
    assert f"warning {settings.topics.exports}, " in check.stdout
    assert "a deleted profile may come back" in check.stdout
    assert "not supported by this broker" not in check.stdout


def has_coordinator(settings: Settings) -> bool:
    try:
        require_alone(settings)
    except BrokerUnreachable:
        return False
    return True


@pytest.mark.kafka
def test_of_topics_that_may_be_described_each_check_holds_whatever_is_denied_of_others(
    installation: Installation,
) -> None:
    settings, names = installation.settings, installation.topics
    deny_describe_configs(installation, names.profile_events, names.dead_letters, names.changelog)
    wait_until(lambda: Admin(settings).config(names.changelog) is None, "the broker to know it", SECONDS)

    wait_until(lambda: has_coordinator(settings), "the group's coordinator, which a new broker has late", SECONDS)
    ground = Ground(Admin(settings), settings)
    ground.require()
    before = ground.tombstone_seconds()
    alter_topic(settings.kafka_bootstrap_servers, names.exports, cleanup_policy="compact", max_message_bytes="1000")

    assert before is None
    with pytest.raises(UnsafeTopics) as unsafe:
        Ground(Admin(settings), settings).require()
    assert [fault.topic for fault in unsafe.value.faults] == [names.exports, names.exports]


@pytest.mark.kafka
def test_m2_whoever_may_only_write_audit_events_applies_all_the_same_and_is_told_what_is_not_recorded(
    installation: Installation, tmp_path: Path
) -> None:
    """A flow that an earlier version put into force may lack an audit event; whether it does is read on that topic."""
    settings, names = installation.settings, installation.topics
    destination = {"type": "kinesis", "stream": "s", "region": "us-east-2"}
    old, new = ({"id": flow_id, "name": flow_id, "destination": destination} for flow_id in ("old", "new"))
    with Writer(settings) as writer:
        writer.write(
            names.flows,
            b"old",
            encode_flow(StoredFlow(Flow.model_validate(old), "etag-of-an-old-version")).value,
            name="old",
        )
        writer.write(names.audit_events, b"another", b"{}", name="an event, so that there is something to read")
    deny(installation, AclOperation.READ, names.audit_events)
    wait_until(lambda: not may_read(settings, names.audit_events), "the broker to know it", SECONDS)
    file = tmp_path / "flows.yaml"
    file.write_bytes(orjson.dumps({"flows": [old, new]}))

    applied = installation.command("apply", "--no-check", str(file))

    assert applied.exit_code == 0, applied.output
    assert applied.output.count("are not recorded, so their etags in exports may lead nowhere") == 1
    assert f"{names.audit_events}[0]" in applied.output
    assert "allow this principal the operation Read" in applied.output
    assert "create flow new" in applied.output


def may_read(settings: Settings, topic: str) -> bool:
    try:
        list(read_topic(settings, topic))
    except ReadFailed:
        return False
    return True
