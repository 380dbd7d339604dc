"""A broker that takes exports but no rows (issue 4, item 5): nothing is half written, and the worker fails until it is mended (G1, D3)."""

from pathlib import Path
from typing import Final

import pytest

from processor.demo.shop import shop_events
from processor.kafka.reading import read_topic
from tests.kit.crew import crew
from tests.kit.installation import Installation
from tests.kit.load import flowing
from tests.kit.rows import require_rows_of_the_fold
from tests.kit.topics import alter_topic
from tests.kit.whole_job import WholeJob

SECONDS: Final = 60.0
DELIVERY_SECONDS: Final = 120.0
EVENTS_A_SECOND: Final = 100


@pytest.fixture
def job(installation: Installation, kinesis: str, tmp_path: Path) -> WholeJob:
    installation.init(4)
    job = WholeJob(installation, kinesis, tmp_path)
    job.create_streams()
    job.apply()
    return job


@pytest.mark.long
def test_a_changelog_that_refuses_rows_ends_the_worker_until_it_takes_them_again(job: WholeJob) -> None:
    settings = job.installation.settings
    broker, changelog, exports = settings.kafka_bootstrap_servers, settings.topics.changelog, settings.topics.exports

    with crew(job, 1, static_membership=True) as workers:
        with flowing(job, shop_events(1_000_000, customers=300), EVENTS_A_SECOND):
            workers.start()
            workers.keep(lambda: job.delivered() > 0, "the first deliveries", SECONDS)
            alter_topic(broker, changelog, max_message_bytes="100")
            workers.keep(lambda: workers.deaths["failed"] >= 2, "two failures", SECONDS)
            visible = sum(1 for _ in read_topic(settings, exports))
            workers.keep(lambda: workers.deaths["failed"] >= 3, "one more", SECONDS)
            assert sum(1 for _ in read_topic(settings, exports)) == visible, "an export is visible, and its rows were refused"
            alter_topic(broker, changelog, max_message_bytes=str(settings.max_message_bytes))
        workers.keep(lambda: not any(job.lags().values()), "delivery", DELIVERY_SECONDS)
        workers.stop()

    replayed = job.require_equal_to_replay(workers.started_at)
    require_rows_of_the_fold(job, replayed, workers.folders)
