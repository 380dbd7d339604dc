"""How far jobs are, read from its topic: what cannot be read is told, and what is new is read on."""

from itertools import count

import pytest

from processor.control.job_progress import JobProgressFollower, JobProgressRecords, read_job_progress
from processor.control.job_status import JobsProgress
from processor.kafka.errors import ReadFailed
from processor.kafka.follower import TopicFollower
from processor.kafka.writer import Writer
from schemas.job import JobKind, JobProgress
from schemas.kafka import ReadRecord
from tests.kit.installation import Installation

TIME = "2026-01-20T00:00:00Z"


def a_record(job: str = "j1", partition: int = 0, seen: int = 1) -> tuple[bytes, bytes]:
    progress = JobProgress(
        job=job,
        flow="f",
        kind=JobKind.BACKFILL,
        partition=partition,
        start=0,
        seen=seen,
        begun_at=TIME,
        updated_at=TIME,
    )
    return b'["%b",%d]' % (job.encode(), partition), progress.model_dump_json(by_alias=True, exclude_none=True).encode()


def read(*records: tuple[bytes, bytes | None]) -> JobsProgress:
    known = JobProgressRecords()
    known.add(ReadRecord("job-progress", 0, offset, 0, key, value, ()) for offset, (key, value) in enumerate(records))
    return known.progress(4)


def seen(progress: JobsProgress) -> dict[str, dict[int, int]]:
    return {
        job: {partition: part.seen for partition, part in parts.items()}
        for job, parts in progress.by_job.items()
        if parts
    }


def test_the_last_word_of_each_partition_counts_and_a_tombstone_ends_it() -> None:
    progress = read(a_record(), a_record(seen=2), a_record(partition=3), a_record("j2"), (a_record("j2")[0], None))

    assert seen(progress) == {"j1": {0: 2, 3: 1}}
    assert (progress.partitions, progress.unreadable) == (4, ())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"", b"{}"),
        (b"[1]", b"{}"),
        (b'["j1","0"]', a_record()[1]),
        (b'["j2",0]', a_record()[1]),
        (b'["j1",0]', b"\xff"),
        (b'["j1",0]', b'{"job":"j1"}'),
    ],
)
def test_what_cannot_be_read_is_told_and_the_rest_is_read(key: bytes, value: bytes) -> None:
    progress = read((key, value), a_record("other"))

    assert seen(progress) == {"other": {0: 1}}
    (told,) = progress.unreadable
    assert told.startswith(f"job-progress {key.decode()}: ")


def test_what_is_written_over_an_unreadable_record_mends_it() -> None:
    assert read((b'["j1",0]', b"nothing"), a_record()).unreadable == ()


def test_what_is_new_is_read_on_and_nothing_twice(installation: Installation) -> None:
    installation.init(4)
    topic = installation.topics.job_progress
    follower = TopicFollower(installation.settings, topic)
    numbers = count()

    def written(records: int) -> list[bytes]:
        keys = [b"k%d" % next(numbers) for _ in range(records)]
        with Writer(installation.settings) as writer:
            for key in keys:
                writer.write(topic, key, b"1", name="key")
        return keys

    for records in (0, 30, 0, 7, 1):
        assert {record.key for record in follower.read_on()} == set()
        wanted = written(records)
        assert sorted(record.key or b"" for record in follower.read_on()) == sorted(wanted)
    follower.close()
    assert len(follower.read_on()) == 38
    follower.close()


def test_progress_is_read_once_a_second_at_most(installation: Installation) -> None:
    installation.init(4)
    follower = JobProgressFollower(installation.settings, age_seconds=600.0)

    def write(number: int) -> None:
        key, value = a_record(seen=number)
        with Writer(installation.settings) as writer:
            writer.write(installation.topics.job_progress, key, value, name="j1")

    write(1)
    first = follower.progress()
    write(2)
    again = follower.progress()
    follower.close()

    assert again is first
    assert seen(first) == {"j1": {0: 1}}
    assert seen(read_job_progress(installation.settings)) == {"j1": {0: 2}}


def test_progress_of_a_second_ago_is_read_on(installation: Installation) -> None:
    installation.init(4)
    follower = JobProgressFollower(installation.settings, age_seconds=0.0)
    key, value = a_record(seen=2)

    before = follower.progress()
    with Writer(installation.settings) as writer:
        writer.write(installation.topics.job_progress, key, value, name="j1")
    after = follower.progress()
    follower.close()

    assert (seen(before), seen(after)) == ({}, {"j1": {0: 2}})


def test_a_topic_that_is_missing_is_named_with_the_remedy(installation: Installation) -> None:
    with pytest.raises(ReadFailed, match=r"job-progress; run `profile-exporter init`"):
        read_job_progress(installation.settings)
