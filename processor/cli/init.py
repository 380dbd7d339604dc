"""`profile-exporter init`: the topics, created where they are missing, compared where they are there."""

import click

from processor.errors import CommandError
from processor.kafka.admin import Admin, Differences, TopicOutcome, TopicResult
from processor.kafka.rights import GRANT
from processor.kafka.topics import TopicSpec, topic_specs
from processor.settings import read_settings


@click.command()
def init() -> None:
    """Create the topics that are missing.

    Nothing that is there is changed: a wrong partition count is an error (exit code 2), another configuration a warning.
    """
    settings = read_settings()
    specs = topic_specs(settings)
    admin = Admin(settings)
    results = admin.create_missing(specs)
    for spec, result in zip(specs, results, strict=True):
        click.echo(_line(spec, result))
    failed = [result.topic for result in results if result.outcome in (TopicOutcome.FAILED, TopicOutcome.UNSUPPORTED)]
    if failed:
        raise CommandError(f"not created: {', '.join(failed)}")
    admin.require(specs)
    _compare(admin.differences(specs))


def _line(spec: TopicSpec, result: TopicResult) -> str:
    shape = f"{spec.partitions} partition{'s' if spec.partitions > 1 else ''}"
    config = "".join(f", {name}={value}" for name, value in spec.config.items())
    said = f": {result.text}" if result.text else ""
    return f"{result.topic} ({shape}{config}): {result.outcome}{said}"


def _compare(differences: Differences | None) -> None:
    if differences is None:
        click.echo("configuration of topics: this broker does not tell, not compared")
        return
    if differences.denied:
        click.echo(f"warning: {', '.join(differences.denied)}: DescribeConfigs is denied, the configuration is not compared; {GRANT}", err=True)
    for topic, name, found, wanted in differences.found:
        click.echo(f"warning: {topic}: {name} is {found}, should be {wanted}; records may be lost. Change it with kafka-configs.sh", err=True)
