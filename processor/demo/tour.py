"""The tour from its beginning to its end: a place for its files, a stage, the story, what it came to, and the
verdict.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import KafkaException

from processor.demo.environment import Stage, set_stage
from processor.demo.interruption import interruptible
from processor.demo.scenario import Story
from processor.demo.screen import Screen
from processor.demo.steps import step
from processor.demo.summary import Findings, show
from processor.foundation.errors import CommandError
from processor.sandbox.broker import RecordsDroppedError
from processor.sandbox.child import ChildError
from processor.sandbox.errors import DemoFailed
from processor.sandbox.shop import CUSTOMERS, EVENTS, MOST_SECONDS_BETWEEN, SEED, shop_events
from processor.sandbox.worker_process import Worker
from processor.verify.result import judge, listed

_PREFIX: Final = "profile-exporter-demo-"
_FAILURES: Final = (ChildError, RecordsDroppedError, KafkaException, BotoCoreError, ClientError)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the tour is asked for; a broker or endpoint of None is the tour's own."""

    broker: str | None = None
    kinesis_endpoint: str | None = None
    events: int = EVENTS
    seed: int = SEED
    keep: bool = False


def run_tour(wishes: Wishes, screen: Screen) -> None:
    """Tell the story and show the verdict; raises CommandError where it cannot be told, or is not good.

    Leaves no process and no file behind, also after Ctrl-C or SIGTERM; `keep` leaves files, topics and streams.
    """
    began = time.monotonic()
    screen.title("A made-up shop, a real worker, a crash")
    with (
        interruptible() as check,
        _in_words(),
        _directory(screen, keep=wishes.keep) as directory,
        _stage(wishes, directory, screen) as stage,
    ):
        findings = _find_out(wishes, stage, directory, screen, check)
    show(findings, screen)
    seconds = time.monotonic() - began
    if faults := findings.verdict.faults:
        screen.verdict(f"what left is not what replay gives\n{listed(faults)}", good=False)
        raise DemoFailed(f"{len(faults)} differences to replay; `--keep` keeps the files to look into")
    screen.verdict(f"{findings.conclusion()} In {seconds:.0f} s.", good=True)


def _find_out(wishes: Wishes, stage: Stage, directory: Path, screen: Screen, check: Callable[[], None]) -> Findings:
    opens_at = (
        int(time.time()) - wishes.events * MOST_SECONDS_BETWEEN
    )  # it closes about now: a broker may remove what is old
    customers = max(1, CUSTOMERS * wishes.events // EVENTS)
    events = list(shop_events(wishes.events, customers=customers, seed=wishes.seed, opens_at=opens_at))
    with Worker(stage.environment, directory) as worker, _with_its_log(worker):
        played = Story(stage, worker, directory, screen, check).play(events)
    flows = played.said.flows
    has_transactions = not stage.has_own_broker
    verdict = judge(
        flows, played.expectation, played.evidence, has_transactions=has_transactions, restarted_at=played.restarted_at
    )
    return Findings(events, played, verdict)


@contextmanager
def _directory(screen: Screen, *, keep: bool) -> Iterator[Path]:
    """A folder for the worker's log and state, removed at the end unless it is to be kept."""
    if not keep:
        with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as directory:
            yield Path(directory)
        return
    directory = tempfile.mkdtemp(prefix=_PREFIX)
    screen.line(f"files are kept in {directory}")
    yield Path(directory)


@contextmanager
def _stage(wishes: Wishes, directory: Path, screen: Screen) -> Iterator[Stage]:
    """The stage, from the first step on."""
    with ExitStack() as stack:
        with step(screen, "starting a broker and a Kinesis endpoint") as now:
            stage = stack.enter_context(set_stage(directory, wishes.broker, wishes.kinesis_endpoint, keep=wishes.keep))
            now.done(
                f"Kafka at {stage.settings.kafka_bootstrap_servers} ({stage.settings.processing_guarantee}), Kinesis at"
                f" {stage.endpoint_url}"
            )
        yield stage


@contextmanager
def _with_its_log(worker: Worker) -> Iterator[None]:
    """What fails while the worker is there is told with the end of its log."""
    try:
        yield
    except (CommandError, *_FAILURES) as error:
        tail = worker.log_tail()
        raise DemoFailed(f"{error}\n\nthe end of the worker's log:\n{tail}" if tail else str(error)) from None


@contextmanager
def _in_words() -> Iterator[None]:
    """What a broker or an endpoint can do wrong is an error in words, not a traceback."""
    try:
        yield
    except _FAILURES as error:
        raise DemoFailed(str(error)) from None
