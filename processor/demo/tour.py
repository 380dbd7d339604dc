"""Run the tour from its beginning to its end: a folder, an environment, the scenario, its outcome and the result."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import KafkaException

from processor.demo.environment import TourEnvironment, prepare_environment
from processor.demo.interruption import interruptible
from processor.demo.scenario import Scenario
from processor.demo.screen import Screen
from processor.demo.steps import step
from processor.demo.summary import Summary, show_summary
from processor.foundation.errors import CommandError
from processor.sandbox.broker import RecordsDroppedError
from processor.sandbox.child import ChildError
from processor.sandbox.errors import SandboxFailed
from processor.sandbox.shop import CUSTOMERS, EVENTS, MOST_SECONDS_BETWEEN, SEED, shop_events
from processor.sandbox.worker_process import WorkerProcess
from processor.verify.result import list_faults, verify_delivery

_PREFIX: Final = "profile-exporter-demo-"
_FAILURES: Final = (ChildError, RecordsDroppedError, KafkaException, BotoCoreError, ClientError)


@dataclass(frozen=True, slots=True)
class TourOptions:
    """The options of a tour; a broker or endpoint of None is the tour's own."""

    broker: str | None = None
    kinesis_endpoint: str | None = None
    events: int = EVENTS
    seed: int = SEED
    keep: bool = False


def run_tour(options: TourOptions, screen: Screen) -> None:
    """Play the scenario and show the result; raise CommandError where it cannot be played, or has faults.

    Leaves no process and no file behind, also after Ctrl-C or SIGTERM; `keep` leaves files, topics and streams.
    """
    began = time.monotonic()
    screen.title("A made-up shop, a real worker, a crash")
    with (
        interruptible() as check,
        _in_words(),
        _directory(screen, keep=options.keep) as directory,
        _environment(options, directory, screen) as environment,
    ):
        summary = _play(options, environment, directory, screen, check)
    show_summary(summary, screen)
    seconds = time.monotonic() - began
    if faults := summary.verification.faults:
        screen.show_result(f"what left is not what replay gives\n{list_faults(faults)}", good=False)
        raise SandboxFailed(f"{len(faults)} differences to replay; `--keep` keeps the files to look into")
    screen.show_result(f"{summary.conclusion()} In {seconds:.0f} s.", good=True)


def _play(
    options: TourOptions, environment: TourEnvironment, directory: Path, screen: Screen, check: Callable[[], None]
) -> Summary:
    # the shop closes about now: a broker may remove what is old
    opens_at = int(time.time()) - options.events * MOST_SECONDS_BETWEEN
    customers = max(1, CUSTOMERS * options.events // EVENTS)
    events = list(shop_events(options.events, customers=customers, seed=options.seed, opens_at=opens_at))
    with WorkerProcess(environment.variables, directory) as worker, _with_its_log(worker):
        outcome = Scenario(environment, worker, directory, screen, check).play(events)
    flows = outcome.configuration.flows
    has_transactions = not environment.has_own_broker
    verification = verify_delivery(
        flows,
        outcome.expectation,
        outcome.evidence,
        has_transactions=has_transactions,
        restarted_at=outcome.restarted_at,
    )
    return Summary(events, outcome, verification)


@contextmanager
def _directory(screen: Screen, *, keep: bool) -> Iterator[Path]:
    """Yield a folder for the worker's log and state, removed at the end unless it is to be kept."""
    if not keep:
        with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as directory:
            yield Path(directory)
        return
    directory = tempfile.mkdtemp(prefix=_PREFIX)
    screen.line(f"files are kept in {directory}")
    yield Path(directory)


@contextmanager
def _environment(options: TourOptions, directory: Path, screen: Screen) -> Iterator[TourEnvironment]:
    """Yield the environment, and show its preparation as the first step."""
    with ExitStack() as stack:
        with step(screen, "starting a broker and a Kinesis endpoint") as now:
            environment = stack.enter_context(
                prepare_environment(directory, options.broker, options.kinesis_endpoint, keep=options.keep)
            )
            now.done(
                f"Kafka at {environment.settings.kafka_bootstrap_servers}"
                f" ({environment.settings.processing_guarantee}), Kinesis at {environment.endpoint_url}"
            )
        yield environment


@contextmanager
def _with_its_log(worker: WorkerProcess) -> Iterator[None]:
    """Add the end of the worker's log to the error of what fails meanwhile."""
    try:
        yield
    except (CommandError, *_FAILURES) as error:
        tail = worker.log_tail()
        raise SandboxFailed(f"{error}\n\nthe end of the worker's log:\n{tail}" if tail else str(error)) from None


@contextmanager
def _in_words() -> Iterator[None]:
    """Report what a broker or an endpoint can do wrong as an error in words, without a traceback."""
    try:
        yield
    except _FAILURES as error:
        raise SandboxFailed(str(error)) from None
