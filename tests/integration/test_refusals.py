"""Tests of what a worker does not start with, or on (exit codes 2 and 3): each names the thing and the remedy."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # public names that its __init__ does not list

from processor.core.partitioner import partition_of
from processor.kafka.errors import UnsafeTopics
from processor.kafka.group_lag import group_lag
from processor.kafka.reading import read_topic
from processor.sandbox.shop import shop_events
from processor.sandbox.waiting import wait_until
from processor.worker.preconditions import find_environment
from schemas.partitioner import Partitioner
from tests.kit.installation import Installation
from tests.kit.topics import alter_topic
from tests.kit.whole_job import WholeJob

SECONDS = 240.0


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(2)
    whole_job = WholeJob(installation, kinesis, tmp_path)
    whole_job.create_streams()
    whole_job.apply()
    return whole_job


def ended(job: WholeJob, **settings: object) -> tuple[int, str]:
    """(exit code, log) of a worker that must end by itself."""
    with job.new_worker("refused", **settings) as worker:
        worker.start()
        return worker.wait_for_end(SECONDS), worker.said()


def admin(job: WholeJob) -> AdminClient:
    return AdminClient({"bootstrap.servers": job.installation.settings.kafka_bootstrap_servers})


def recreate(job: WholeJob, topic: str, **config: str) -> None:
    client = admin(job)
    client.delete_topics([topic])[topic].result(SECONDS)
    wait_until(lambda: topic not in client.list_topics(timeout=SECONDS).topics, "the topic to go", SECONDS)
    client.create_topics([NewTopic(topic, 2, 1, config={"max.message.bytes": "1048588"} | config)])[topic].result(
        SECONDS
    )
    wait_until(lambda: topic in client.list_topics(timeout=SECONDS).topics, "the topic to be there", SECONDS)


def other_installation(job: WholeJob, app_id: str, topic_prefix: str) -> Installation:
    """One on the same broker, whose operator took these names."""
    other = Installation(job.installation.settings.kafka_bootstrap_servers, job.folder("other") / "data")
    other.change(app_id=app_id, topic_prefix=topic_prefix)
    other.init(2)
    return other


def test_another_installation_that_takes_our_names_is_refused_before_it_joins_our_group_or_fences_our_workers(
    job: WholeJob,
) -> None:
    """The same APP_ID is one group.

    An APP_ID that goes on as the other's TOPIC_PREFIX does gives the same transactional ids.
    """
    app_id, topic_prefix = job.installation.settings.app_id, job.installation.settings.topic_prefix
    first, _, rest = app_id.partition("-")
    with job.worker() as worker:
        same_group = other_installation(job, app_id, f"other-{rest}-")
        same_ids = other_installation(job, first, f"{rest}-{topic_prefix}")
        ends = []
        for other in (same_group, same_ids):
            with WholeJob(other, job.kinesis, job.folder("worker")).new_worker(other.settings.topic_prefix) as refused:
                refused.start()
                ends.append((refused.wait_for_end(SECONDS), refused.said()))
        checked = same_group.command("check")
        job.send(shop_events(100, customers=20))
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()

    assert [code for code, _ in ends] == [2, 2]
    assert f"the same PROFILE_EXPORTER_APP_ID, {app_id}, with other topics" in ends[0][1]
    assert f"the same transactional ids, {app_id}-{topic_prefix}profile-events-PARTITION" in ends[1][1]
    for _, said in ends:
        assert f"workers of the consumer group {app_id} work on" in said
    assert checked.exit_code == 1
    assert "FAILED  another installation has the same" in checked.stdout
    assert worker.taken_over() == 1


@pytest.mark.parametrize(
    ("name", "policy"),
    [("changelog", "delete"), ("flows", "delete"), ("exports", "compact"), ("profile_events", "compact")],
)
def test_a_cleanup_policy_that_loses_something_is_refused(job: WholeJob, name: str, policy: str) -> None:
    topic = getattr(job.installation.topics, name)
    alter_topic(job.installation.settings.kafka_bootstrap_servers, topic, cleanup_policy=policy)

    with pytest.raises(UnsafeTopics) as refused:
        find_environment(job.installation.settings)

    assert refused.value.exit_code == 2
    assert f"{topic}: cleanup.policy is {policy}, must" in str(refused.value)
    assert "kafka-configs.sh" in str(refused.value)


def test_events_larger_than_a_dead_letter_may_be_are_refused_before_one_comes(job: WholeJob) -> None:
    """I4: what cannot be used goes aside whole."""
    settings = job.installation.settings
    alter_topic(settings.kafka_bootstrap_servers, settings.topics.profile_events, max_message_bytes="8388608")

    with pytest.raises(UnsafeTopics) as refused:
        find_environment(settings)

    assert refused.value.exit_code == 2
    assert "could not be dead-lettered" in str(refused.value)


def test_a_source_topic_that_was_deleted_and_created_again_is_refused_and_never_skipped(job: WholeJob) -> None:
    job.send(shop_events(200, customers=20))
    with job.worker() as worker:
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()
    recreate(job, job.installation.topics.profile_events)
    job.send(shop_events(500, customers=20))

    code, said = ended(job)

    assert code == 3
    assert "deleted and created again" in said


def test_a_changelog_that_was_deleted_under_a_group_that_has_read_is_refused(job: WholeJob) -> None:
    job.send(shop_events(200, customers=20))
    with job.worker() as worker:
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()
    settings = job.installation.settings
    recreate(
        job,
        settings.topics.changelog,
        **{"cleanup.policy": "compact", "max.message.bytes": str(settings.max_message_bytes)},
    )

    code, said = ended(job)

    assert code == 3
    assert "the changelog holds no source position" in said


def test_unread_events_that_were_removed_stop_the_worker_and_it_goes_on_when_told_to(job: WholeJob) -> None:
    job.send(shop_events(200, customers=20))
    with job.worker() as worker:
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()
    read = job.ends()
    job.send(shop_events(300, customers=20, seed=9))
    topic = job.installation.topics.profile_events
    removed = [TopicPartition(topic, partition, end - 20) for partition, end in job.ends().items()]
    client = admin(job)
    for future in client.delete_records(removed).values():
        future.result(SECONDS)

    code, said = ended(job)
    with job.worker("goes-on", accept_gaps=True) as worker:
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()

    assert code == 3
    assert f"{topic}[0]: offsets" in said
    assert "are gone" in said
    assert not any(job.lags().values())
    firsts = {place.partition: place.offset for place in removed}
    skipped = [event["after"] for event in audited(job) if event["action"] == "skipped"]
    gaps = {
        partition: {"from": read[partition], "to": first - 1, "why": "ACCEPT_GAPS"}
        for partition, first in firsts.items()
    }
    assert {gap.pop("partition"): gap for gap in skipped if gap.pop("topic") == topic} == gaps
    assert len(skipped) == len(gaps)
    assert [taken_over(event) for event in audited(job) if event["action"] == "taken_over"] == [
        dict.fromkeys(firsts, 0),
        firsts,
    ]


def test_a_group_without_an_offset_of_exports_stops_the_worker_which_goes_on_where_the_operator_says(
    job: WholeJob,
) -> None:
    """A worker once delivered everything again, from the beginning of time, without a word."""
    job.send(shop_events(200, customers=20))
    with job.worker() as worker:
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()
    settings, client = job.installation.settings, admin(job)
    client.delete_consumer_groups([settings.app_id])[settings.app_id].result(SECONDS)

    code, said = ended(job)
    exports = settings.topics.exports
    (places,) = group_lag(settings, [exports]).values()
    delivered = [TopicPartition(exports, place.partition, place.end) for place in places]
    (altered,) = client.alter_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(settings.app_id, delivered)]
    ).values()
    altered.result(SECONDS)
    with job.worker("goes-on") as worker:
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()

    assert code == 3
    assert f"{exports}[0]: the consumer group {settings.app_id} has no offset, though records 0 to" in said
    assert (
        f"PROFILE_EXPORTER_ACCEPT_GAPS={exports}:0:{places[0].end},{exports}:1:{places[1].end}" in said.splitlines()[-1]
    )
    job.require_equal_to_replay()


def test_a_partition_with_nothing_but_an_aborted_transaction_is_begun_by_its_next_owner(
    installation: Installation, tmp_path: Path
) -> None:
    """The group was told to have read it, though no source position said so: its next owner missed a state."""
    installation.init(2)
    job, settings = (
        WholeJob(installation, "http://127.0.0.1:1", tmp_path),
        installation.settings,
    )  # no flow: nothing is sent, and no job begins
    producer = Producer(
        {"bootstrap.servers": settings.kafka_bootstrap_servers, "transactional.id": settings.app_id + "-upstream"}
    )
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    producer.produce(settings.topics.profile_events, b"aborted", b"k", partition=0)
    producer.flush(SECONDS)
    producer.abort_transaction(SECONDS)
    events = [event for event in shop_events(200) if partition_of(event.key, 2, Partitioner.MURMUR2) == 1]

    for name, event in zip(("first", "next"), events, strict=False):
        job.send([event])
        with job.worker(name) as worker:
            job.wait_until_delivered(SECONDS, worker)  # the markers are passed, too
            worker.stop()

    assert job.ends()[0] == 2, "the record and its marker"


def audited(job: WholeJob) -> list[dict[str, Any]]:
    """Return what workers did with partitions; the one that was refused did nothing."""
    settings = job.installation.settings
    events = [orjson.loads(record.value or b"") for record in read_topic(settings, settings.topics.audit_events)]
    return [event for event in events if (event["kind"], event["via"]) == ("partitions", "worker")]


def taken_over(event: dict[str, Any]) -> dict[int, int]:
    """The first offset of each partition."""
    return {each["partition"]: each["firstOffset"] for each in event["after"]["partitions"]}
