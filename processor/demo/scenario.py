"""The story: a shop's events through a real worker that is killed half-way. What came out is read back for the verdict.

    apply ─ events ─ worker ─ events ─ SIGKILL ─ events ─┬─ worker ─ SIGTERM ─ read back
                                                         └─ replay: what must come out

Every step is waited for by its condition; a worker that ends by itself ends the story.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from processor.core.catalog import Catalog
from processor.core.step import Limits
from processor.demo.environment import Stage
from processor.demo.progress import Progress
from processor.demo.screen import Screen
from processor.demo.steps import Step, step
from processor.files.configuration import Configuration
from processor.kafka.writer import Writer
from processor.sandbox.broker import assert_nothing_dropped
from processor.sandbox.endpoint import create_stream
from processor.sandbox.flows import configuration, configuration_text
from processor.sandbox.shop import ShopEvent
from processor.sandbox.waiting import wait_until
from processor.sandbox.worker_process import Worker, run_command
from processor.verify.evidence import Evidence, read_events, read_evidence
from processor.verify.expectation import Expectation, expect

SHARDS: Final = 2
SLICES: Final = 16
START_SECONDS: Final = 60.0
CATCH_UP_SECONDS: Final = 120.0

_FILE: Final = "demo.yaml"


@dataclass(frozen=True, slots=True)
class Played:
    """What the story came to; `restarted_at` is when the second worker was started."""

    said: Configuration
    expectation: Expectation
    evidence: Evidence
    restarted_at: datetime


class Story:
    """One telling on a stage; `directory` is for its files, `check` raises once nobody wants the rest."""

    def __init__(
        self, stage: Stage, worker: Worker, directory: Path, screen: Screen, check: Callable[[], None]
    ) -> None:
        self._stage, self._worker, self._directory, self._screen = stage, worker, directory, screen
        self._check = check
        self._settings, self._topics = stage.settings, stage.settings.topics
        self._limits = Limits(stage.settings.max_document_bytes, stage.settings.dedup_window)

    def play(self, events: Sequence[ShopEvent]) -> Played:
        """From empty topics to what the worker left behind. Raises CommandError where it cannot go on."""
        half = len(events) // 2
        said = self._put_in_force()
        self._open_shop(events[:half])
        self._worker.start()
        with Progress(self._settings, self._stage.endpoint_url, said.flows) as progress:
            self._wait_for_first_records(progress)
            self._kill_in_full_flow(progress, events[half:])
            restarted_at = datetime.now(UTC)
            self._worker.start()
            expectation = self._replay(said)
            self._catch_up(progress)
        self._stop()
        return Played(said, expectation, self._read_back(said), restarted_at)

    def _put_in_force(self) -> Configuration:
        text = configuration_text(self._stage.endpoint_url, self._stage.suffix)
        said = configuration(text)
        with self._step("putting flows and audiences in force") as now:
            for flow in said.flows:
                create_stream(self._stage.endpoint_url, flow.destination.region, flow.destination.stream, SHARDS)
            (self._directory / _FILE).write_text(text, encoding="utf-8")
            if not self._stage.has_own_broker:
                run_command(self._stage.environment, self._directory, "init")
            run_command(self._stage.environment, self._directory, "apply", _FILE)
            now.done(
                f"profile-exporter apply {_FILE}: {len(said.flows)} flows, each with a stream, and"
                f" {len(said.audiences)} audiences in force"
            )
        return said

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

    def _wait_for_first_records(self, progress: Progress) -> None:
        def has_delivered() -> bool:
            state = progress.look()
            now.far(state.short)
            return state.delivered > 0

        with self._step("starting faust -A processor.app worker") as now:
            self._wait(has_delivered, "the worker's first records", START_SECONDS)
            now.done("faust -A processor.app worker is at work: the first records are in the streams")

    def _kill_in_full_flow(self, progress: Progress, events: Sequence[ShopEvent]) -> None:
        """The shop goes on, a slice of `events` at a time, also after the kill.

        The worker is killed between a half and three quarters of them, as soon as it has delivered what it has not
        committed.
        """
        size = len(events) // SLICES
        with self._step("the shop goes on") as now, Writer(self._settings) as writer:
            for sent in range(size, size * SLICES * 3 // 4 + 1, size):
                self._check()
                self._worker.require_running()
                self._send(writer, events[sent - size : sent])
                state = progress.look()
                now.far(state.short)
                if sent >= len(events) // 2 and state.delivered > state.exports_committed:
                    break
            self._worker.kill()
            state = progress.look()
            now.done(
                f"killed with SIGKILL while the shop goes on: of {state.events_end:,} events sent"
                f" {state.events_committed:,} are committed, of {state.delivered:,} records in the streams about"
                f" {max(0, state.delivered - state.exports_committed):,} are not"
            )
            self._send(writer, events[sent:])

    def _replay(self, said: Configuration) -> Expectation:
        with self._step("replaying") as now:
            expectation = expect(read_events(self._settings), Catalog.of(said.flows, said.audiences), self._limits)
            now.done(
                f"replay of all {expectation.events:,} events as they stand on the topic: {len(expectation.records):,}"
                " records are to come out"
            )
        return expectation

    def _catch_up(self, progress: Progress) -> None:
        def is_caught_up() -> bool:
            state = progress.look()
            now.far(state.short)
            return state.is_caught_up

        with self._step("the same worker again") as now:
            self._wait(is_caught_up, "the worker to have caught up", CATCH_UP_SECONDS)
            now.done("the worker, started again in the same data directory, has caught up: lag 0")

    def _stop(self) -> None:
        with self._step("stopping") as now:
            self._worker.stop()
            now.done("stopped with SIGTERM: exit code 0")

    def _read_back(self, said: Configuration) -> Evidence:
        with self._step("reading back") as now:
            evidence = read_evidence(self._settings, said.flows, self._stage.endpoint_url)
            if self._stage.has_own_broker:
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
