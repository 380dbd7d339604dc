"""A topic's configuration as commands that write need it, and a warning where it is not told."""

from collections.abc import Mapping

import click

from processor.kafka.admin import Admin
from processor.kafka.rights import GRANT


def read_topic_config(admin: Admin, topic: str) -> Mapping[str, str] | None:
    """Read a topic's configuration; None where the broker does not tell.

    Where it may not tell us, say on stderr what is not checked.
    """
    configs = admin.configs([topic])
    if configs is not None and configs.denied:
        click.echo(
            f"warning: {topic}: DescribeConfigs is denied: whether it takes the events' times, and keeps them, is not"
            f" checked; {GRANT}",
            err=True,
        )
    return None if configs is None else configs.found.get(topic)
