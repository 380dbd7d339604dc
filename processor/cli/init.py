"""`profile-exporter init`: create the topics that are missing, and compare those that exist."""

from collections.abc import Container, Sequence

import click

from processor.foundation.errors import CommandError, UsageError, what_and_remedy
from processor.foundation.settings import read_settings
from processor.kafka.admin import Admin, Differences, TopicOutcome, TopicResult, differences_of
from processor.kafka.errors import BrokerUnreachable, UnsafeTopics
from processor.kafka.ground import Ground, require_settings
from processor.kafka.rights import GRANT
from processor.kafka.topics import TopicSpec, topic_specs


@click.command()
def init() -> None:
    """Create the topics that are missing.

    Nothing that is there is changed. What a worker would not start with is an error (exit code 2), as a wrong partition
    count or a configuration that loses records; another configuration is a warning.
    """
    settings = read_settings()
    specs = topic_specs(settings)
    require_settings(settings)
    admin = Admin(settings)
    results = admin.create_missing(specs)
    for spec, result in zip(specs, results, strict=True):
        click.echo(_line(spec, result))
    failed = [result.topic for result in results if result.outcome in (TopicOutcome.FAILED, TopicOutcome.UNSUPPORTED)]
    if failed:
        raise CommandError(f"not created: {', '.join(failed)}")
    _refuse_as_a_worker(Ground(admin, settings), specs)


def _refuse_as_a_worker(ground: Ground, specs: Sequence[TopicSpec]) -> None:
    """Print what differs, and raise what a worker does not start with."""
    refusals, unsafe = list[UsageError](), set[tuple[str, str]]()
    try:
        for refusal in ground.refusals():
            refusals.append(refusal)
            unsafe |= (
                {(fault.topic, fault.option) for fault in refusal.faults}
                if isinstance(refusal, UnsafeTopics)
                else set()
            )
    except BrokerUnreachable as error:  # a new cluster's coordinator of groups may not be there yet; the topics are
        click.echo(f"warning: not everything was checked that a worker looks at: {what_and_remedy(error)[0]}", err=True)
    _compare(differences_of(specs, ground.configs), unsafe)
    if refusals:
        raise refusals[0] if len(refusals) == 1 else UsageError("\n".join(map(str, refusals)))


def _line(spec: TopicSpec, result: TopicResult) -> str:
    shape = f"{spec.partitions} partition{'s' if spec.partitions > 1 else ''}"
    config = "".join(f", {name}={value}" for name, value in spec.config.items())
    text = f": {result.text}" if result.text else ""
    return f"{result.topic} ({shape}{config}): {result.outcome}{text}"


def _compare(differences: Differences | None, unsafe: Container[tuple[str, str]]) -> None:
    if differences is None:
        click.echo("configuration of topics: this broker does not show it, not compared")
        return
    if differences.denied:
        click.echo(
            f"warning: {', '.join(differences.denied)}: DescribeConfigs is denied, the configuration is not compared;"
            f" {GRANT}",
            err=True,
        )
    for topic, name, found, wanted in differences.found:
        if (topic, name) in unsafe:
            continue
        click.echo(
            f"warning: {topic}: {name} is {found}, should be {wanted}; records may be lost. Change it with"
            " kafka-configs.sh",
            err=True,
        )
