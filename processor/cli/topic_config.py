"""Read a topic's configuration for commands that write, and warn where the broker does not show it."""

from collections.abc import Mapping

import click

from processor.kafka.admin import Admin
from processor.kafka.rights import GRANT


def read_topic_config(admin: Admin, topic: str) -> Mapping[str, str] | None:
    """Read a topic's configuration; None where the broker does not show it.

    Where it may not show it to us, warn on stderr of what is not checked.
    """
    configs = admin.configs([topic])
    if configs is not None and configs.denied:
        click.echo(
            f"warning: {topic}: DescribeConfigs is denied: whether it takes the events' times, and keeps them, is not"
            f" checked; {GRANT}",
            err=True,
        )
    return None if configs is None else configs.found.get(topic)
