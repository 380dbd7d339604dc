"""The scenario: a shop's events through a real worker that is killed half-way; what came out is read back.

    apply ─ events ─ worker ─ events ─ SIGKILL ─ events ─┬─ worker ─ SIGTERM ─ read back
                                                         └─ replay: what must come out

Every step is waited for by its condition; a worker that ends by itself ends the scenario.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from processor.core.catalog import Catalog
from processor.core.step import Limits
from processor.demo.environment import TourEnvironment
from processor.demo.progress import ProgressReader
from processor.demo.screen import Screen
from processor.demo.steps import Step, step
from processor.files.configuration import Configuration
from processor.kafka.writer import Writer
from processor.sandbox.broker import assert_nothing_dropped
from processor.sandbox.flows import fill_shop_template, parse_shop_configuration
from processor.sandbox.shop import ShopEvent
from processor.sandbox.streams import create_stream
from processor.sandbox.waiting import wait_until
from processor.sandbox.worker_process import WorkerProcess, run_command
from processor.verify.evidence import Evidence, read_events, read_evidence
from processor.verify.expectation import Expectation, expect_by_replay

SHARDS: Final = 2
SLICES: Final = 16
START_SECONDS: Final = 60.0
CATCH_UP_SECONDS: Final = 120.0

_FILE: Final = "demo.yaml"


@dataclass(frozen=True, slots=True)
class ScenarioOutcome:
    """The outcome of a scenario; `restarted_at` is when the second worker was started."""

    configuration: Configuration
    expectation: Expectation
    evidence: Evidence
    restarted_at: datetime


class Scenario:
    """One run in an environment; `directory` is for its files, `check` raises once nobody wants the rest."""

    def __init__(
        self,
        environment: TourEnvironment,
        worker: WorkerProcess,
        directory: Path,
        screen: Screen,
        check: Callable[[], None],
    ) -> None:
        self._environment, self._worker, self._directory, self._screen = environment, worker, directory, screen
        self._check = check
        self._settings, self._topics = environment.settings, environment.settings.topics
        self._limits = Limits(environment.settings.max_document_bytes, environment.settings.dedup_window)

    def play(self, events: Sequence[ShopEvent]) -> ScenarioOutcome:
        """Play all from empty topics to what the worker left behind. Raises CommandError where it cannot go on."""
        half = len(events) // 2
        configuration = self._put_in_force()
        self._open_shop(events[:half])
        self._worker.start()
        with ProgressReader(self._settings, self._environment.endpoint_url, configuration.flows) as progress:
            self._wait_for_first_records(progress)
            self._kill_in_full_flow(progress, events[half:])
            restarted_at = datetime.now(UTC)
            self._worker.start()
            expectation = self._replay(configuration)
            self._catch_up(progress)
        self._stop()
        return ScenarioOutcome(configuration, expectation, self._read_back(configuration), restarted_at)

    def _put_in_force(self) -> Configuration:
        text = fill_shop_template(self._environment.endpoint_url, self._environment.suffix)
        configuration = parse_shop_configuration(text)
        with self._step("putting flows and audiences in force") as now:
            for flow in configuration.flows:
                create_stream(self._environment.endpoint_url, flow.destination.region, flow.destination.stream, SHARDS)
            (self._directory / _FILE).write_text(text, encoding="utf-8")
            if not self._environment.has_own_broker:
                run_command(self._environment.variables, self._directory, "init")
            run_command(self._environment.variables, self._directory, "apply", _FILE)
            now.done(
                f"profile-exporter apply {_FILE}: {len(configuration.flows)} flows, each with a stream, and"
                f" {len(configuration.audiences)} audiences in force"
            )
        return configuration

    def _open_shop(self, events: Sequence[ShopEvent]) -> None:
        with self._step("sending events") as now, Writer(self._settings) as writer:
            self._send(writer, events)
            now.done(
                f"the first {len(events):,} events of a made-up shop sent to the topic {self._topics.profile_events}"
            )

    def _send(self, writer: Writer, events: Sequence[ShopEvent]) -> None:
        for event in events:
            writer.write(
                self._topics.profile_events, event.key, event.value, name=f"{event.kind}", timestamp=event.timestamp
            )
        writer.flush()

    def _wait_for_first_records(self, progress: ProgressReader) -> None:
        def has_delivered() -> bool:
            state = progress.read()
            now.show_progress(state.short)
            return state.delivered > 0

        with self._step("starting faust -A processor.app worker") as now:
            self._wait(has_delivered, "the worker's first records", START_SECONDS)
            now.done("faust -A processor.app worker is at work: the first records are in the streams")

    def _kill_in_full_flow(self, progress: ProgressReader, events: Sequence[ShopEvent]) -> None:
        """Send `events`, a slice at a time, also after the kill of the worker.

        The worker is killed between a half and three quarters of them, as soon as it has delivered what it has not
        committed.
        """
        size = len(events) // SLICES
        with self._step("the shop goes on") as now, Writer(self._settings) as writer:
            for sent in range(size, size * SLICES * 3 // 4 + 1, size):
                self._check()
                self._worker.require_running()
                self._send(writer, events[sent - size : sent])
                state = progress.read()
                now.show_progress(state.short)
                if sent >= len(events) // 2 and state.delivered > state.exports_committed:
                    break
            self._worker.kill()
            state = progress.read()
            now.done(
                f"killed with SIGKILL while the shop goes on: of {state.events_end:,} events sent"
                f" {state.events_committed:,} are committed, of {state.delivered:,} records in the streams about"
                f" {max(0, state.delivered - state.exports_committed):,} are not"
            )
            self._send(writer, events[sent:])

    def _replay(self, configuration: Configuration) -> Expectation:
        with self._step("replaying") as now:
            expectation = expect_by_replay(
                read_events(self._settings), Catalog.of(configuration.flows, configuration.audiences), self._limits
            )
            now.done(
                f"replay of all {expectation.events:,} events as they stand on the topic: {len(expectation.records):,}"
                " records are to come out"
            )
        return expectation

    def _catch_up(self, progress: ProgressReader) -> None:
        def is_caught_up() -> bool:
            state = progress.read()
            now.show_progress(state.short)
            return state.is_caught_up

        with self._step("the same worker again") as now:
            self._wait(is_caught_up, "the worker to have caught up", CATCH_UP_SECONDS)
            now.done("the worker, started again in the same data directory, has caught up: lag 0")

    def _stop(self) -> None:
        with self._step("stopping") as now:
            self._worker.stop()
            now.done("stopped with SIGTERM: exit code 0")

    def _read_back(self, configuration: Configuration) -> Evidence:
        with self._step("reading back") as now:
            evidence = read_evidence(self._settings, configuration.flows, self._environment.endpoint_url)
            if self._environment.has_own_broker:
                assert_nothing_dropped(self._settings.kafka_bootstrap_servers)
            now.done("streams, exports and dead letters read back")
        return evidence

    def _step(self, doing: str) -> AbstractContextManager[Step]:
        self._check()
        return step(self._screen, doing)

    def _wait(self, done: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait for `done`, as long as the worker runs."""

        def done_or_dead() -> bool:
            self._check()
            self._worker.require_running()
            return done()

        wait_until(done_or_dead, what, seconds)
