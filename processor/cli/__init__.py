"""The commands, one module each; errors become one clear text on stderr and the exit code of the error.

demo            the tour                              init            topics, created and compared
apply           flows and audiences put into force    send            events out of files
worker          a worker, in this process             api             the control API
status          workers, lag, flows and counts        check           is everything in place? (checks, placement)
flows           flows in force                        audiences       what is known of audiences
profiles        profiles deleted (profile_ids)        jobs            backfill and resend
dead_letters    listed and inspected                  redrive         sent again (dead_letter_options)
replay          the same without Kafka                secrets         stored secrets under another key

lazy            late imports                          reference       docs/reference.md
control_plane   opened for commands                   destinations    asked whether flows may deliver
topic_config    of topics that commands write to      views           what people and programs read
"""

from typing import Final

import click

from processor.cli.lazy import Lazy, LazyGroup

COMMANDS: Final = {
    "demo": Lazy("processor.cli.demo:demo", "Take the tour: a made-up shop, a worker, a crash, on this machine alone."),
    "init": Lazy("processor.cli.init:init", "Create the topics that are missing."),
    "apply": Lazy("processor.cli.apply:apply", "Put the flows and audiences of FILE into force."),
    "send": Lazy("processor.cli.send:send", "Send the events of FILE to the topic of profile events."),
    "worker": Lazy("processor.cli.worker:worker", "Run a worker, until SIGTERM or Ctrl-C."),
    "status": Lazy("processor.cli.status:status", "Show workers, partitions, lag, rows, flows and counts."),
    "check": Lazy("processor.cli.check:check", "Show the settings, and check broker, topics, flows and destinations."),
    "dead-letters": Lazy(
        "processor.cli.dead_letters:dead_letters", "List, inspect and send again what could not be used or delivered."
    ),
    "flows": Lazy("processor.cli.flows:flows", "List, show, change and check the flows in force."),
    "audiences": Lazy("processor.cli.audiences:audiences", "List, show and change what is known of audiences."),
    "profiles": Lazy("processor.cli.profiles:profiles", "Delete profiles, as privacy requests ask for it."),
    "backfill": Lazy(
        "processor.cli.jobs:backfill", "Send who is in an audience already: order, watch and cancel jobs of all kinds."
    ),
    "resend": Lazy("processor.cli.jobs:resend", "Send once more what has arrived before: order, watch, cancel."),
    "api": Lazy("processor.cli.api:api", "Run the control API: flows, audiences and connections over HTTP."),
    "secrets": Lazy("processor.cli.secrets:secrets", "Encrypt stored secrets under another key."),
    "replay": Lazy("processor.cli.replay:replay", "Fold EVENTS and write the records a worker would send."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="profile-exporter")
def commands() -> None:
    """Profile events on Kafka become incremental export records in Amazon Kinesis.

    Settings come from PROFILE_EXPORTER_... variables or a .env file.
    Exit codes: 0 done, 1 failed, 2 wrong usage, settings or file, 3 stopped for the operator.
    """


def main() -> None:
    """Run the console script `profile-exporter`."""
    commands()
