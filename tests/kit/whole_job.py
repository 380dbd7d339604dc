"""The whole job as an operator runs it, and what it left held against replay.

Topics, streams, flows, events and worker processes are real.

job = WholeJob(installation, kinesis_url, tmp_path)
job.apply(); job.send(shop_events(20_000))
with job.worker(): job.wait_until_delivered(60)
job.require_equal_to_replay()
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
from tenacity import Retrying, retry_if_exception_type, stop_after_delay

from processor.core.catalog import Catalog
from processor.core.step import Limits
from processor.files.configuration import Configuration
from processor.kafka.errors import BrokerUnreachable
from processor.kafka.group_lag import PartitionLag, group_lag
from processor.kafka.writer import Writer
from processor.sandbox.flows import fill_shop_template, parse_shop_configuration, worker_environment
from processor.sandbox.shop import ShopEvent
from processor.sandbox.streams import create_stream
from processor.sandbox.waiting import wait_until
from processor.verify.evidence import read_events, read_evidence
from processor.verify.result import list_faults, verify_delivery
from processor.worker.adapters.parked_rows import parked_flows
from tests.kit.installation import Installation
from tests.kit.replayed import CatalogOf, Replayed, catalog_in_force, replay
from tests.kit.worker import KitWorker

SHARDS: Final = 2
SESSION_SECONDS: Final = 6
TAKEOVER_SECONDS: Final = 240.0
BROKER_SECONDS: Final = 240.0


class WholeJob:
    """One installation with the flows of the made-up shop, whose streams carry its name."""

    def __init__(self, installation: Installation, kinesis: str, folder: Path) -> None:
        self.installation = installation
        self.kinesis = kinesis
        self._folder = folder
        installation.change(session_timeout_seconds=SESSION_SECONDS, log_format="console")
        self.text = fill_shop_template(kinesis, f"-{installation.settings.app_id}")

    @property
    def configuration(self) -> Configuration:
        """Return `text` as it is parsed."""
        return parse_shop_configuration(self.text)

    def create_streams(self) -> None:
        """The stream of every flow."""
        for flow in self.configuration.flows:
            create_stream(self.kinesis, flow.destination.region, flow.destination.stream, SHARDS)

    def apply(self, *options: str) -> Catalog:
        """Put `text` into force, with the options of the command; the catalog as it stands then, with its etags."""
        path = self._folder / "flows.yaml"
        path.write_text(self.text)
        result = self.installation.command("apply", "--no-check", *options, str(path))
        assert result.exit_code == 0, result.output
        return catalog_in_force(self.installation.settings)

    def send(self, events: Iterable[ShopEvent]) -> int:
        """Write events to the topic; how many."""
        settings, sent = self.installation.settings, 0
        topic = settings.topics.profile_events
        with Writer(settings) as writer:
            for event in events:
                writer.write(topic, event.key, event.value, name=str(sent), timestamp=event.timestamp)
                sent += 1
        return sent

    @contextmanager
    def worker(self, name: str = "worker", **settings: object) -> Iterator[KitWorker]:
        """Give a worker with a state directory of its own, when it has taken over.

        It runs until the context ends, unless it ended before.
        """
        with self.new_worker(name, **settings) as worker:
            try:
                self.start_again(worker)
                yield worker
            except BaseException as error:
                error.add_note(f"the end of {name}'s log:\n{worker.log_tail()}")
                raise

    def start_again(self, worker: KitWorker) -> None:
        """Start a worker that was killed or stopped; returns when it has taken its partitions over."""
        worker.start()

        def taken_over() -> bool:
            worker.require_running()
            return worker.has_taken_over

        wait_until(taken_over, "a takeover", TAKEOVER_SECONDS)

    def new_worker(self, name: str = "worker", **settings: object) -> KitWorker:
        """A worker that is not started; `folder(name)` is its own, and its state is there unless told otherwise."""
        self.folder(name).mkdir(exist_ok=True)
        self.installation.change(**{"data_dir": self.folder(name) / "data"} | settings)
        return KitWorker(worker_environment(self.installation.env), self.folder(name))

    def folder(self, name: str) -> Path:
        """Return the folder where a worker has its log, and its state in `data`."""
        return self._folder / name

    def status(self) -> dict[str, Any]:
        """Return the output of `profile-exporter status --json`."""
        result = self.installation.command("status", "--json")
        assert result.exit_code == 0, result.output
        return dict(orjson.loads(result.stdout))

    def lags(self) -> dict[str, int]:
        """Offsets that the group has not done, by topic."""
        return {topic: sum(place.lag for place in places) for topic, places in self._group().items()}

    def ends(self) -> dict[int, int]:
        """Return the log end offset of each partition of profile-events."""
        return {place.partition: place.end for place in self._group()[self.installation.topics.profile_events]}

    def processed(self) -> int:
        """Offsets of profile-events that the group has done."""
        return sum(place.committed or 0 for place in self._group()[self.installation.topics.profile_events])

    def delivered(self) -> int:
        """Offsets of exports that the group has done."""
        return sum(place.committed or 0 for place in self._group()[self.installation.topics.exports])

    def all_arrived(self) -> bool:
        """Return whether everything that the topics have is done: no lag, and nothing parked.

        The lag of `exports` does not count what is parked.
        """
        return not any(self.lags().values()) and not list(parked_flows(self.installation.settings))

    def _group(self) -> dict[str, list[PartitionLag]]:
        """Asked again while a broker comes back: its groups may take longer than a command has patience."""
        settings = self.installation.settings
        asking = Retrying(
            retry=retry_if_exception_type(BrokerUnreachable), stop=stop_after_delay(BROKER_SECONDS), reraise=True
        )
        return asking(lambda: group_lag(settings, [settings.topics.profile_events, settings.topics.exports]))

    def wait_until_delivered(self, seconds: float, *workers: KitWorker) -> None:
        """Until all has arrived, and stays so for a moment: the pipeline may be between the two topics."""

        def done() -> bool:
            for worker in workers:
                worker.require_running()
            return self.all_arrived()

        wait_until(lambda: done() and _holds(done, 3), "delivery", seconds, poll_seconds=0.3)

    def replay(self, catalog_of: CatalogOf | None = None) -> Replayed:
        """Return what replay makes of the events on the topic; without `catalog_of` all are decided by `text`."""
        settings, wanted = self.installation.settings, self.configuration
        limits = Limits(settings.max_document_bytes, settings.dedup_window)
        by_text = Catalog.of(wanted.flows, wanted.audiences)
        return replay(read_events(settings), limits, catalog_of or (lambda _: by_text))

    def require_equal_to_replay(
        self,
        restarted_at: datetime | None = None,
        *,
        has_transactions: bool = True,
        catalog_of: CatalogOf | None = None,
    ) -> Replayed:
        """Require exports, dead letters and streams to be what replay gives, in order per profile and flow.

        Fails naming what is not.
        """
        flows, replayed = self.configuration.flows, self.replay(catalog_of)
        evidence = read_evidence(self.installation.settings, flows, self.kinesis)
        verdict = verify_delivery(
            flows, replayed.expectation, evidence, has_transactions=has_transactions, restarted_at=restarted_at
        )
        assert replayed.expectation.records, "replay sends nothing: the test proves nothing"
        assert not verdict.faults, list_faults(verdict.faults)
        return replayed


def _holds(condition: Callable[[], bool], times: int) -> bool:
    return all(condition() and not time.sleep(0.1) for _ in range(times))


@contextmanager
def workers(job: WholeJob, count: int) -> Iterator[list[KitWorker]]:
    """Several workers at once."""
    with ExitStack() as stack:
        yield [stack.enter_context(job.worker(f"worker-{number}")) for number in range(count)]
