"""`profile-exporter dead-letters redrive`: send dead letters again, in the order of their lanes, and mark them (G8)."""

import time
from contextlib import AbstractContextManager
from typing import Any, Final

import click
import orjson

from processor.cli.dead_letter_options import build_selection, selecting
from processor.cli.topic_config import read_topic_config
from processor.cli.views.progress import Report, progress
from processor.cli.views.tables import Table, print_table
from processor.dead_letters.circumstances import read_circumstances
from processor.dead_letters.outcome import Circumstances, Outcome
from processor.dead_letters.plan import RedrivePlan
from processor.dead_letters.redrive import plan_only
from processor.dead_letters.redrive import redrive as send_again
from processor.foundation.errors import CommandError, UsageError
from processor.foundation.settings import Settings, read_settings
from processor.foundation.settings_environment import env_name
from processor.kafka.admin import Admin
from processor.kafka.profile_partitions import ProfilePartitions, profile_partitions
from processor.kafka.timestamps import timestamp_bounds
from processor.kafka.topics import topic_specs

_WORDS: Final = {
    Outcome.REDRIVE: "redriven",
    Outcome.REDRIVEN_BEFORE: "redriven before: left",
    Outcome.FLOW_MISSING: "left: there is no such flow; create it again with `profile-exporter apply FILE`",
    Outcome.STILL_TOO_LARGE: (
        f"left: larger than {env_name('kinesis_max_record_bytes')}; raise it, here and in the workers"
    ),
    Outcome.STILL_UNUSABLE: "left: the event cannot be used as it is; send a corrected one",
    Outcome.ON_TWO_PARTITIONS: (
        "left: the profile is on two partitions, and PARTITIONER=none does not say which one is meant"
    ),
    Outcome.TIME_NOT_TAKEN: "left: older or newer than profile-events takes and keeps; raise its retention.ms first",
    Outcome.TOPIC_TOO_NARROW: "left: larger than the topic takes that it goes back to;"
    " raise its max.message.bytes first",
}


@click.command("redrive")
@selecting
@click.option(
    "--all", "everything", is_flag=True, help="Send all of them, where no other option says which. [default: refuse]"
)
@click.option(
    "--dry-run", is_flag=True, help="Say what would be sent and what would be left, and send nothing. [default: send]"
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object. [default: a table]")
def redrive(everything: bool, dry_run: bool, as_json: bool, **chosen: Any) -> None:
    """Send dead letters again, and mark them as redriven.

    Dead letters of delivery go back to exports with their headers and key, those of one lane in the lane's order; the
    workers deliver them as any record. Records of the lane that were delivered meanwhile came earlier: a consumer tells
    by the version in the envelope. Dead letters of bad events go back to the end of profile-events: they are applied as
    new events, after everything that has happened since. What would only become a dead letter again is left, with the
    reason. A redrive that was stopped in the middle is started again: what was sent is marked, the rest is sent then.

    Exit codes: 0 all of them are sent (or would be), 1 some are left, or could not be sent, 2 wrong usage or settings.
    """
    settings, selected = read_settings(), build_selection(**chosen)
    if selected.is_everything and not everything:
        raise UsageError(
            "say which dead letters:"
            " --flow, --reason, --profile, --partition, --offsets, --since, --until, or --all of them"
        )
    with profile_partitions(settings) as partitions:
        now = _read_circumstances(settings, partitions)
        found = (
            plan_only(settings, selected, now, _warn)
            if dry_run
            else send_again(settings, selected, now, _warn, _show_progress)
        )
    _print(found, dry_run=dry_run, as_json=as_json)
    if failed := found.count_outcomes(*(outcome for outcome in Outcome if outcome.is_failure)):
        raise CommandError(f"{failed} dead letter{'s are' if failed > 1 else ' is'} left, see above")


def _read_circumstances(settings: Settings, partitions: ProfilePartitions) -> Circumstances:
    names = settings.topics
    admin = Admin(settings)
    needed = (names.profile_events, names.exports, names.flows, names.dead_letters, names.redriven)
    admin.require([spec for spec in topic_specs(settings) if spec.name in needed])
    bounds = timestamp_bounds(read_topic_config(admin, names.profile_events), int(time.time() * 1000))
    return read_circumstances(settings, admin, partitions, bounds)


def _warn(text: str) -> None:
    click.echo(f"warning: {text}", err=True)


def _show_progress(dead_letters: int) -> AbstractContextManager[Report]:
    return progress(f"redriving {dead_letters:,} dead letters:", None)


def _print(found: RedrivePlan, *, dry_run: bool, as_json: bool) -> None:
    counted = sorted(found.outcomes.items(), key=lambda item: (item[0][0] or "", *item[0][1:]))
    if as_json:
        letters = [
            {"flow": flow, "reason": reason, "fate": outcome, "letters": number}  # `fate`: its name on the wire
            for (flow, reason, outcome), number in counted
        ]
        click.echo(
            orjson.dumps({"dryRun": dry_run, "redriven": found.count_outcomes(Outcome.REDRIVE), "letters": letters})
        )
        return
    would = "would be " if dry_run else ""
    words = {outcome: (would if outcome is Outcome.REDRIVE else "") + text for outcome, text in _WORDS.items()}
    rows = [
        [flow or "(profile events)", reason, f"{number:,}", words[outcome]]
        for (flow, reason, outcome), number in counted
    ]
    print_table(
        Table("dead letters", ["flow", "reason", "dead letters", "what became of them"], rows, "none is selected")
    )
