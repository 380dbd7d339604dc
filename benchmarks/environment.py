"""The environment that all contenders share: one broker, one topic of events that wait, one canned endpoint.

Outputs are new for each run.

with open_environment() as environment:
    environment.fill(events, profiles)
    job = environment.new_job("ours-1")
    …                                  # a contender reads job.topics.profile_events, as the group job.app_id
    environment.clear()
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from benchmarks.events import MIXES, EventMix, flows_file
from processor.foundation.settings import Settings
from processor.foundation.settings_processing import TopicNames
from processor.kafka.admin import Admin
from processor.kafka.connection import confluent_config, producer_config
from processor.kafka.topics import topic_specs
from processor.sandbox.child import ChildServer
from tests.kit.installation import Installation
from tests.kit.kafka import BENCHMARK_JVM, RealKafka

PARTITIONS = 4
ANSWER_MILLISECONDS = 20  # of the canned endpoint
_TOPIC_SECONDS = 30.0


class Job:
    """One run's names and folder."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.installation, self.folder = installation, folder

    def of_process(self, number: int) -> "Job":
        """Return the job as one of several processes has it: the same names, a folder of its own."""
        folder = self.folder / str(number)
        folder.mkdir()
        installation = Installation(self.bootstrap_servers, folder / "data")
        installation.change(**{**self.installation.values, "data_dir": folder / "data"})
        return Job(installation, folder)

    @property
    def settings(self) -> Settings:
        """Return the settings as a worker of ours reads them."""
        return self.installation.settings

    @property
    def topics(self) -> TopicNames:
        """Events and outputs; only ours uses the names of changelog, flows and audiences."""
        return self.settings.topics

    @property
    def app_id(self) -> str:
        """The consumer group, whoever runs."""
        return self.settings.app_id

    @property
    def bootstrap_servers(self) -> str:
        """Return the address of the broker."""
        return self.settings.kafka_bootstrap_servers


class BenchmarkEnvironment:
    """The environment of a benchmark; `fill` counts `events`, and the `first` of them, which fill the profiles."""

    def __init__(self, bootstrap_servers: str, folder: Path) -> None:
        self._bootstrap_servers, self._folder = bootstrap_servers, folder
        self.events = self.first = 0
        self._prepare()

    def _prepare(self) -> None:
        settings = self._installation("environment").settings
        Admin(settings).create_missing(topic_specs(settings))

    def _installation(self, name: str) -> Installation:
        installation = Installation(self._bootstrap_servers, self._folder / name / "data")
        installation.change(
            app_id=name, topic_prefix="bench-", partitions=PARTITIONS, log_format="json", max_buffered_records=20_000
        )
        return installation

    def apply(self, endpoint: str, envelope: str = "none") -> None:
        """Put the flow of `benchmarks.events` into force."""
        flows = self._folder / "flows.yaml"
        flows.write_text(flows_file(endpoint, envelope))
        done = self._installation("environment").command("apply", str(flows))
        assert done.exit_code == 0, done.output

    def fill(self, events: int, profiles: int, mix: EventMix = MIXES["fifth"]) -> None:
        """Write the events: one that fills each profile, then patches."""
        settings = self._installation("environment").settings
        self.first = produce(settings, mix.first(profiles))
        self.events = self.first + produce(settings, mix.then(events, profiles))

    def new_job(self, name: str) -> Job:
        """Empty outputs, a group that has read nothing, an empty folder."""
        installation = self._installation(name)
        Admin(installation.settings).create_missing(topic_specs(installation.settings))
        folder = self._folder / name
        folder.mkdir()
        return Job(installation, folder)

    def clear(self) -> None:
        """Remove every topic but events, flows and audiences."""
        settings = self._installation("environment").settings
        kept = {settings.topics.profile_events, settings.topics.flows, settings.topics.audiences}
        admin = AdminClient(confluent_config(settings))

        def others() -> list[str]:
            return [
                name for name in admin.list_topics(timeout=10).topics if name not in kept and not name.startswith("__")
            ]

        for done in admin.delete_topics(others()).values():
            done.result(_TOPIC_SECONDS)
        deadline = time.monotonic() + _TOPIC_SECONDS
        while others() and time.monotonic() < deadline:
            time.sleep(0.1)


@contextmanager
def open_environment(
    arrivals: Path | None = None, answer_milliseconds: int = ANSWER_MILLISECONDS
) -> Iterator[BenchmarkEnvironment]:
    """Yield an environment on a broker of its own; everything ends, and is removed, with the context.

    `arrivals`: a file where the endpoint notes when each record was answered; records have an envelope then
    (`benchmarks.canned`).
    """
    with RealKafka(jvm_options=BENCHMARK_JVM) as kafka, TemporaryDirectory(prefix="bench-") as folder:
        endpoint = ChildServer(
            "benchmarks.canned", str(answer_milliseconds), *([] if arrivals is None else [str(arrivals)])
        )
        try:
            environment = BenchmarkEnvironment(kafka.bootstrap_servers, Path(folder))
            environment.apply(endpoint.start(), "none" if arrivals is None else "cloudevents")
            yield environment
        except BaseException as error:
            error.add_note(
                f"the broker {'runs' if kafka.is_running else 'has ended'}; it said: {kafka.log_tail() or 'nothing'}"
            )
            raise
        finally:
            endpoint.stop()


def produce(settings: Settings, events: Iterable[tuple[bytes, bytes]]) -> int:
    """Write events to `profile-events`; how many."""
    topic, count = settings.topics.profile_events, 0
    producer = Producer(producer_config(settings) | {"queue.buffering.max.messages": 1_000_000, "linger.ms": 20})
    for key, value in events:
        producer.produce(topic, value, key)
        count += 1
        if count % 1000 == 0:
            producer.poll(0)
            while len(producer) > 500_000:
                producer.poll(0.2)
    producer.flush()
    return count
