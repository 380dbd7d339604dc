"""Tests of what a worker finds on its disk when it starts; it always makes the rows of the fold of it."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from processor.kafka.reading import read_topic
from processor.sandbox.shop import shop_events
from processor.sandbox.waiting import wait_until
from schemas.wire.profiles_changelog import PROFILE, SOURCE_POSITION_KEY
from schemas.worker_status import WorkerStatus
from state.identity import Identity
from state.partition import PartitionStore
from state.restore import Changelog, RestoreProgress, StaleCopies, restore
from state.store_options import shared_memory
from tests.kit.installation import Installation
from tests.kit.load import flowing
from tests.kit.rows import is_compacted, require_rows_of_the_fold, rows_on_disk
from tests.kit.topics import COMPACTED_ALL_THE_TIME, alter_topic, create_topic
from tests.kit.whole_job import WholeJob

SECONDS: Final = 240.0
EVENTS_A_SECOND: Final = 50


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(2)
    job = WholeJob(installation, kinesis, tmp_path)
    job.create_streams()
    job.apply()
    return job


def process_all(job: WholeJob, name: str) -> str:
    """A worker with the folder of this name does all that is there, and stops; what it said."""
    with job.worker(name) as worker:
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()
        return worker.said()


def test_a_transaction_that_the_broker_still_shows_as_open_is_waited_for(job: WholeJob) -> None:
    """Rows of an open transaction may be committed yet: whoever passes over them decides their events twice."""
    settings = job.installation.settings
    job.send(shop_events(200, customers=50))
    process_all(job, "worker")
    left_open = Producer(
        {"bootstrap.servers": settings.kafka_bootstrap_servers, "transactional.id": f"{settings.app_id}-left-open"}
    )
    left_open.init_transactions(SECONDS)
    left_open.begin_transaction()
    left_open.produce(settings.topics.changelog, value=b"not to be seen", key=b"x", partition=0)
    left_open.flush(SECONDS)

    with job.new_worker("another") as worker:
        worker.start()
        wait_until(lambda: "transaction_still_open" in worker.said(), "the worker to notice", SECONDS)
        before = worker.has_taken_over
        left_open.abort_transaction(SECONDS)
        wait_until(lambda: worker.has_taken_over, "a takeover", SECONDS)
        worker.stop()

    assert not before
    require_rows_of_the_fold(job, job.require_equal_to_replay(), [job.folder("another") / "data"])


def test_copies_that_are_stale_or_damaged_are_made_anew_and_who_was_deleted_stays_deleted(job: WholeJob) -> None:
    """A stale copy has missed tombstones that the changelog no longer has: it must not go on from where it is."""
    settings = job.installation.settings
    job.send(shop_events(1_500, customers=300))
    process_all(job, "worker")
    for name in ("stale", "damaged"):
        shutil.copytree(job.folder("worker"), job.folder(name))
    alter_topic(
        settings.kafka_bootstrap_servers, settings.topics.changelog, delete_retention_ms="100", **COMPACTED_ALL_THE_TIME
    )
    job.send(shop_events(3_000, customers=300))
    with job.worker("worker") as worker:
        job.wait_until_delivered(SECONDS, worker)
        tombstones = tombstones_of(job)
        with flowing(
            job, shop_events(100_000, customers=300, seed=8), EVENTS_A_SECOND
        ):  # a segment is compacted when the next one has begun
            wait_until(lambda: is_compacted(job) and not tombstones & tombstones_of(job), "compaction", SECONDS)
        job.wait_until_delivered(SECONDS, worker)
        worker.stop()
    damage(job.folder("damaged"))

    before = rows_on_disk(job.folder("stale") / "data")

    said = {name: process_all(job, name) for name in ("stale", "damaged", "empty")}

    assert "changelog keeps tombstones 0 s" in said["stale"]
    assert said["damaged"].count("damaged: ") == settings.partitions
    assert "local_state_wiped" not in said["empty"]
    replayed = job.require_equal_to_replay()
    for name in said:
        require_rows_of_the_fold(job, replayed, [job.folder(name) / "data"])
    had = {key[1:] for rows in before.values() for key in rows if key.startswith(PROFILE)}
    assert had - {key for _, key in replayed.profiles}, "nobody was deleted: the test proves nothing"
    require_a_report_before_the_first_read(job)


def tombstones_of(job: WholeJob) -> set[tuple[int, int]]:
    """(partition, offset) of each in the changelog."""
    settings = job.installation.settings
    return {
        (record.partition, record.offset)
        for record in read_topic(settings, settings.topics.changelog)
        if record.value is None
    }


def damage(folder: Path) -> None:
    """Overwrite what RocksDB reads first."""
    for manifest in folder.glob("data/profiles/[0-9]*/MANIFEST-*"):
        manifest.write_bytes(b"\xff" * manifest.stat().st_size)


def require_a_report_before_the_first_read(job: WholeJob) -> None:
    """`status` shows a recovery from its beginning, however short it is."""
    settings = job.installation.settings
    reports = [
        WorkerStatus.model_validate_json(record.value)
        for record in read_topic(settings, settings.topics.worker_status)
        if record.value
    ]
    begun = [
        report
        for report in reports
        if report.state == "restoring" and any(owned.to_restore for owned in report.partitions)
    ]
    assert begun
    assert {report.state for report in reports} == {"restoring", "running", "stopped"}


def test_a_log_that_retention_emptied_is_no_gap_where_all_of_it_was_read(job: WholeJob) -> None:
    """A log is emptied before the first start, and after an aborted transaction and its marker were read last."""
    job.send(shop_events(100, customers=20))
    remove_all_events(job)
    process_all(job, "worker")
    first = process_all(job, "worker")
    job.send(shop_events(100, customers=20, seed=9))
    abort_events(job)
    with job.worker("worker") as worker:
        job.wait_until_delivered(SECONDS, worker)
        assert job.installation.command("resend", "start", "customer-360", "--wait").exit_code == 0
        worker.stop()
    remove_all_events(job)
    job.send(shop_events(100, customers=20, seed=10))

    last = process_all(job, "worker")

    assert first.count("partitions_taken_over") == 2
    assert last.count("partitions_taken_over") == 4
    assert not any(job.lags().values())


def remove_all_events(job: WholeJob) -> None:
    """Remove all events, as retention does."""
    topic, client = (
        job.installation.topics.profile_events,
        AdminClient({"bootstrap.servers": job.installation.settings.kafka_bootstrap_servers}),
    )
    for future in client.delete_records(
        [TopicPartition(topic, partition, end) for partition, end in job.ends().items()]
    ).values():
        future.result(SECONDS)


def abort_events(job: WholeJob) -> None:
    """One in each partition, that nobody may see."""
    settings = job.installation.settings
    producer = Producer(
        {"bootstrap.servers": settings.kafka_bootstrap_servers, "transactional.id": f"{settings.app_id}-aborted"}
    )
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    for partition in range(settings.partitions):
        producer.produce(settings.topics.profile_events, value=b"not to be seen", key=b"x", partition=partition)
    producer.flush(SECONDS)
    producer.abort_transaction(SECONDS)


def test_group_offsets_that_an_operator_reset_change_nothing(job: WholeJob) -> None:
    """The source position in the state says where to go on, so no event is applied twice, and it is told."""
    settings = job.installation.settings
    job.send(shop_events(600, customers=100))
    process_all(job, "worker")
    topic = settings.topics.profile_events
    reset = ConsumerGroupTopicPartitions(
        settings.app_id, [TopicPartition(topic, partition, 0) for partition in range(settings.partitions)]
    )
    client = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers})
    for answer in client.alter_consumer_group_offsets([reset]).values():
        answer.result(SECONDS)
    assert job.processed() == 0
    job.send(shop_events(300, customers=100, seed=9))

    said = process_all(job, "worker")

    assert "source_position_wins" in said
    assert job.lags()[topic] == 0
    require_rows_of_the_fold(job, job.require_equal_to_replay(), [job.folder("worker") / "data"])


async def test_a_recovery_that_was_interrupted_reads_only_what_is_left(kafka: str, tmp_path: Path) -> None:
    """Rows come with their place, so what is on disk is not read again.

    A crash takes only what RocksDB has not written yet.
    """
    topic = create_topic(kafka)
    produce(kafka, topic, {b"p%d" % number: b"row" for number in range(2_000)})
    first = a_store(tmp_path)

    def interrupt(progress: Mapping[int, RestoreProgress]) -> None:
        if progress[0].records >= 900:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await restore({0: first}, Changelog(topic), {"bootstrap_servers": kafka}, interrupt, read_records=300)
    first.close()
    produce(kafka, topic, {b"p0": None})
    with a_store(tmp_path) as second:
        done = await restore(
            {0: second}, Changelog(topic), {"bootstrap_servers": kafka}, lambda _: None, read_records=300
        )
        rows = second.get_many([b"p0", b"p1", b"p1999"])

    assert 900 <= done[0].start < 2_000
    assert done[0].start + done[0].records == 2_001
    assert rows == [None, b"row", b"row"]


async def test_rows_whose_commit_was_acknowledged_and_then_aborted_are_not_taken_for_state(
    kafka: str, tmp_path: Path
) -> None:
    """A broker that was being stopped completed a transaction without its markers (seen on Kafka 4.4).

    The producer's next one took the rows along into its abort. To go on from the copy would lose their events.
    """
    topic = create_topic(kafka)
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": topic})
    producer.init_transactions(SECONDS)
    first = transact(producer, topic, {b"pAda": b"1", SOURCE_POSITION_KEY: b"1"}, aborts=False)
    with a_store(tmp_path) as ahead:
        await bring_up(kafka, topic, ahead)
        aborted = transact(producer, topic, {b"pAda": b"2", SOURCE_POSITION_KEY: b"2"}, aborts=True)
        ahead.apply({b"pAda": b"2", SOURCE_POSITION_KEY: b"2"}, aborted)
        with pytest.raises(StaleCopies, match="acknowledged their commit, and aborted it") as found:
            await bring_up(kafka, topic, ahead)

    assert found.value.partitions.keys() == {0}
    with a_store(tmp_path / "anew") as anew:
        await bring_up(kafka, topic, anew)
        assert anew.get_many([b"pAda", SOURCE_POSITION_KEY]) == [b"1", b"1"]
        assert anew.last_row_offset == first - 1
        again = transact(producer, topic, {b"pAda": b"3", SOURCE_POSITION_KEY: b"3"}, aborts=False)
        anew.apply({b"pAda": b"3", SOURCE_POSITION_KEY: b"3"}, again)
        done = await bring_up(kafka, topic, anew)
        assert (done.records, anew.get_many([b"pAda"])) == (0, [b"3"]), "a row that is committed is read once"
    with a_store(tmp_path) as ahead:
        await bring_up(kafka, topic, ahead)
        assert ahead.get_many([b"pAda"]) == [b"3"], "a later owner has decided the same events"


async def bring_up(kafka: str, topic: str, store: PartitionStore) -> RestoreProgress:
    done = await restore({0: store}, Changelog(topic), {"bootstrap_servers": kafka}, lambda _: None)
    return done[0]


def transact(producer: Producer, topic: str, rows: Mapping[bytes, bytes], *, aborts: bool) -> int:
    """Write rows in a transaction; return the offset after the last one."""
    offsets: list[int] = []
    producer.begin_transaction()
    for key, value in rows.items():
        producer.produce(topic, value, key, on_delivery=lambda _, message: offsets.append(message.offset()))
    assert producer.flush(SECONDS) == 0
    producer.abort_transaction(SECONDS) if aborts else producer.commit_transaction(SECONDS)
    return max(offsets) + 1


def a_store(folder: Path) -> PartitionStore:
    return PartitionStore.open(
        folder / "0", Identity(None, "app", "changelog", None, 0, 1), shared_memory(1 << 20, 1 << 20, 1)
    )


def produce(kafka: str, topic: str, rows: Mapping[bytes, bytes | None]) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    for key, value in rows.items():
        producer.produce(topic, value, key)
    assert producer.flush(SECONDS) == 0
