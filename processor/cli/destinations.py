"""The flows' destinations, examined and told: what `check`, `flows check` and `apply` say of them (contract G6).

One code path for all three.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from processor.cli.views.check_report import Finding, Level
from processor.delivery.kinesis.endpoints import ANY_ENDPOINT, EndpointRules
from schemas.destination import Destination
from schemas.flow import Flow

if TYPE_CHECKING:
    from processor.delivery.kinesis.preflight import Answer, Verdict
    from processor.foundation.secrets import Secrets

_AT_A_TIME: Final = 8


class Examined(NamedTuple):
    """A flow, and what its destination answered."""

    flow: Flow
    answers: "Sequence[Answer]"

    @property
    def failed(self) -> bool:
        """Whether it could not deliver, or lacks a permission."""
        return any(_level(answer.verdict) is Level.FAILED for answer in self.answers)


def examine_flows(
    flows: Iterable[Flow], environ: Mapping[str, str], secrets: "Secrets", endpoints: EndpointRules = ANY_ENDPOINT
) -> Iterator[Examined]:
    """By flow id. Each destination is asked once, however many flows deliver there, and some at a time."""
    from processor.delivery.kinesis.preflight import examine  # noqa: PLC0415  # boto3 comes with it: not before Kafka was asked

    sharing: dict[Destination, list[Flow]] = defaultdict(list)
    for flow in sorted(flows, key=lambda flow: flow.id):
        sharing[flow.destination].append(flow)
    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="preflight") as threads:
        asked = threads.map(lambda destination: examine(destination, environ, secrets, endpoints), sharing)
        for answers, its_flows in zip(asked, sharing.values(), strict=True):
            yield from (Examined(flow, answers) for flow in its_flows)


def summary(examined: Examined) -> Iterator[Finding]:
    """One line where all is well, else one for each thing that is not.

    What keeps a disabled flow from delivering is a warning.
    """
    flow = examined.flow
    where = f"flow {flow.id}: {flow.destination.in_words}"
    wrong = [answer for answer in examined.answers if _level(answer.verdict) is not Level.OK]
    if not wrong:
        yield Finding(Level.OK, where)
    for question, verdict, text, remedy in wrong:
        said = f"{question}: {text}" if question.startswith("kinesis:") else text
        level = _level(verdict) if flow.enabled else Level.WARNING
        yield Finding(level, f"{where}: {said}" + ("" if flow.enabled else " (the flow is disabled)"), remedy)


def warn_of(
    flows: Iterable[Flow], environ: Mapping[str, str], secrets: "Secrets", endpoints: EndpointRules = ANY_ENDPOINT
) -> int:
    """Ask the destinations of these, warn on stderr of what is not well, and say how many flows would not be let in."""
    failed = 0
    for examined in examine_flows(flows, environ, secrets, endpoints):
        failed += examined.failed
        for level, text, remedy in summary(examined):
            if level is not Level.OK:
                click.echo(f"warning: {text}\n  → {remedy}" if remedy else f"warning: {text}", err=True)
    return failed


def details(examined: Examined) -> Iterator[Finding]:
    """One line a question."""
    for question, verdict, text, remedy in examined.answers:
        yield Finding(_level(verdict), f"{question}: {text}", remedy)


def _level(verdict: "Verdict") -> Level:
    from processor.delivery.kinesis.preflight import Verdict  # noqa: PLC0415  # as above

    return {Verdict.OK: Level.OK, Verdict.UNKNOWN: Level.WARNING, Verdict.FAILED: Level.FAILED}[verdict]
