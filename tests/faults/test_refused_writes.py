"""Tests of a broker that takes exports but no rows: nothing is half written (G1, D3).

The worker stops, and is refused until the topic is mended.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from processor.foundation.errors import StoppedForOperator
from processor.kafka.errors import UnsafeTopics
from processor.kafka.reading import read_topic
from processor.sandbox.shop import shop_events
from processor.sandbox.waiting import wait_until
from tests.kit.installation import Installation
from tests.kit.load import flowing
from tests.kit.rows import require_rows_of_the_fold
from tests.kit.topics import alter_topic
from tests.kit.whole_job import WholeJob

SECONDS: Final = 240.0
DELIVERY_SECONDS: Final = 240.0
EVENTS_A_SECOND: Final = 100


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(4)
    job = WholeJob(installation, kinesis, tmp_path)
    job.create_streams()
    job.apply()
    return job


@pytest.mark.long
def test_a_changelog_that_refuses_rows_ends_the_worker_and_it_starts_when_they_fit_again(job: WholeJob) -> None:
    settings = job.installation.settings
    broker, changelog, exports = settings.kafka_bootstrap_servers, settings.topics.changelog, settings.topics.exports

    started_at = datetime.now(UTC)
    with job.worker() as worker:
        with flowing(job, shop_events(1_000_000, customers=300), EVENTS_A_SECOND):
            wait_until(lambda: job.delivered() > 0, "the first deliveries", SECONDS)
            alter_topic(broker, changelog, max_message_bytes="100")
            assert worker.wait_for_end(SECONDS) == StoppedForOperator.exit_code
            assert f"raise max.message.bytes of {changelog}" in worker.said()
            visible = sum(1 for _ in read_topic(settings, exports))

            worker.start()
            assert worker.wait_for_end(SECONDS) == UnsafeTopics.exit_code
            assert f"{changelog}: max.message.bytes is 100, must be {settings.max_message_bytes}" in worker.said()
            assert sum(1 for _ in read_topic(settings, exports)) == visible, (
                "an export is visible, and its rows were refused"
            )

            alter_topic(broker, changelog, max_message_bytes=str(settings.max_message_bytes))
            job.start_again(worker)
        job.wait_until_delivered(DELIVERY_SECONDS, worker)
        worker.stop()

    replayed = job.require_equal_to_replay(started_at)
    require_rows_of_the_fold(job, replayed, [job.folder("worker") / "data"])
