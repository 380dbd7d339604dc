"""Examine and report the flows' destinations, for `check`, `flows check` and `apply` (contract G6).

One code path for all three.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from processor.cli.views.check_report import Finding, Level
from processor.delivery.kinesis.endpoints import ANY_ENDPOINT, EndpointRules
from processor.delivery.kinesis.questions import Answer, Outcome
from schemas.destination import Destination
from schemas.flow import Flow

if TYPE_CHECKING:
    from processor.foundation.secrets import Secrets

_AT_A_TIME: Final = 8


class Examined(NamedTuple):
    """A flow, and the answers of its destination to the questions of a check."""

    flow: Flow
    answers: Sequence[Answer]

    @property
    def failed(self) -> bool:
        """Return whether the flow could not deliver, or lacks a permission."""
        return any(_level(answer.outcome) is Level.FAILED for answer in self.answers)


def examine_flows(
    flows: Iterable[Flow], environ: Mapping[str, str], secrets: "Secrets", endpoints: EndpointRules = ANY_ENDPOINT
) -> Iterator[Examined]:
    """Yield the flows by id, examined; each destination is asked once, whoever delivers there, some at a time."""
    from processor.delivery.kinesis.preflight import examine  # noqa: PLC0415  # boto3 comes with it: not before Kafka was asked

    sharing: dict[Destination, list[Flow]] = defaultdict(list)
    for flow in sorted(flows, key=lambda flow: flow.id):
        sharing[flow.destination].append(flow)
    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="preflight") as threads:
        asked = threads.map(lambda destination: examine(destination, environ, secrets, endpoints), sharing)
        for answers, its_flows in zip(asked, sharing.values(), strict=True):
            yield from (Examined(flow, answers) for flow in its_flows)


def summarize(examined: Examined) -> Iterator[Finding]:
    """Yield one line where all is well, else one for each thing that is not.

    What keeps a disabled flow from delivering is a warning.
    """
    flow = examined.flow
    where = f"flow {flow.id}: {flow.destination.in_words}"
    wrong = [answer for answer in examined.answers if _level(answer.outcome) is not Level.OK]
    if not wrong:
        yield Finding(Level.OK, where)
    for question, outcome, text, remedy in wrong:
        what = f"{question}: {text}" if question.startswith("kinesis:") else text
        level = _level(outcome) if flow.enabled else Level.WARNING
        yield Finding(level, f"{where}: {what}" + ("" if flow.enabled else " (the flow is disabled)"), remedy)


def warn_of(
    flows: Iterable[Flow], environ: Mapping[str, str], secrets: "Secrets", endpoints: EndpointRules = ANY_ENDPOINT
) -> int:
    """Warn on stderr of what destinations report; return how many flows would not be authorized."""
    failed = 0
    for examined in examine_flows(flows, environ, secrets, endpoints):
        failed += examined.failed
        for level, text, remedy in summarize(examined):
            if level is not Level.OK:
                click.echo(f"warning: {text}\n  → {remedy}" if remedy else f"warning: {text}", err=True)
    return failed


def details(examined: Examined) -> Iterator[Finding]:
    """Yield a line for each question."""
    for question, outcome, text, remedy in examined.answers:
        yield Finding(_level(outcome), f"{question}: {text}", remedy)


def _level(outcome: Outcome) -> Level:
    return {Outcome.OK: Level.OK, Outcome.UNKNOWN: Level.WARNING, Outcome.FAILED: Level.FAILED}[outcome]
