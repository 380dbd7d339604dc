"""`profile-exporter dead-letters redrive`: dead letters sent again, in the order of their lanes, and marked (contract
G8).
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

import click
import orjson

from processor.catalog.state import ControlState, Topic
from processor.cli.dead_letter_options import read_letters, selecting, selection
from processor.cli.topic_config import read_topic_config
from processor.cli.views.progress import Report, progress
from processor.cli.views.tables import Table, show
from processor.dead_letters.outcome import Circumstances, Fate, fate_of
from processor.dead_letters.plan import Survey, survey
from processor.dead_letters.redrive import Redriver, Sent, read_redrive_markers
from processor.dead_letters.selection import Selection
from processor.foundation.errors import CommandError, UsageError
from processor.foundation.settings import Settings, TopicNames, env_name, read_settings
from processor.kafka.admin import Admin
from processor.kafka.dead_letter_batches import fits_alone
from processor.kafka.limits import topic_limits
from processor.kafka.profile_partitions import NotOnePartition, ProfilePartitions, profile_partitions
from processor.kafka.reading import read_topic
from processor.kafka.timestamps import timestamp_bounds
from processor.kafka.topics import topic_specs
from schemas.dead_letter import StoredDeadLetter
from schemas.kafka import ProducerRecord
from schemas.times import format_time
from schemas.wire.dead_letters_redriven import RedriveMarker

BATCH_LETTERS: Final = 500
BATCH_BYTES: Final = 4 * 1024 * 1024
_WORDS: Final = {
    Fate.REDRIVE: "redriven",
    Fate.REDRIVEN_BEFORE: "redriven before: left",
    Fate.FLOW_MISSING: "left: there is no such flow; create it again with `profile-exporter apply FILE`",
    Fate.STILL_TOO_LARGE: (
        f"left: larger than {env_name('kinesis_max_record_bytes')}; raise it, here and in the workers"
    ),
    Fate.STILL_UNUSABLE: "left: the event cannot be used as it is; send a corrected one",
    Fate.ON_TWO_PARTITIONS: (
        "left: the profile is on two partitions, and PARTITIONER=none does not say which one is meant"
    ),
    Fate.TIME_NOT_TAKEN: "left: older or newer than profile-events takes and keeps; raise its retention.ms first",
    Fate.TOPIC_TOO_NARROW: "left: larger than the topic takes that it goes back to; raise its max.message.bytes first",
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

    Letters of delivery go back to exports with their headers and key, those of one lane in the lane's order; the
    workers deliver them as any record. Records of the lane that were delivered meanwhile came earlier: a consumer tells
    by the version in the envelope. Letters of bad events go back to the end of profile-events: they are applied as new
    events, after everything that has happened since. What would only become a dead letter again is left, with the
    reason. A redrive that was stopped in the middle is started again: what was sent is marked, the rest is sent then.

    Exit codes: 0 all of them are sent (or would be), 1 some are left, or could not be sent, 2 wrong usage or settings.
    """
    settings, selected = read_settings(), selection(**chosen)
    if selected.is_everything and not everything:
        raise UsageError(
            "say which letters: --flow, --reason, --profile, --partition, --offsets, --since, --until, or --all of them"
        )
    with profile_partitions(settings) as partitions:
        now = _circumstances(settings, partitions)
        found = (
            _look(settings, selected, now, read_redrive_markers(settings))
            if dry_run
            else _redrive(settings, selected, now)
        )
    _tell(found, dry_run=dry_run, as_json=as_json)
    if failed := found.count(*(fate for fate in Fate if fate.is_failure)):
        raise CommandError(f"{failed} dead letter{'s are' if failed > 1 else ' is'} left, see above")


def _redrive(settings: Settings, selected: Selection, now: Circumstances) -> Survey:
    with Redriver(settings) as redriver:  # before the marks are read: from here on nobody else writes any
        marks = read_redrive_markers(settings)
        found = _look(settings, selected, now, marks)
        if not found.count(Fate.REDRIVE):
            return found
        wanted = (letter for letter in read_letters(settings, selected, _ignore) if found.covers(letter))
        with progress(f"redriving {found.count(Fate.REDRIVE):,} letters:", None) as report:
            _send(settings, redriver, _in_order(_to_send(wanted, marks, now), found), now, report)
    return found


def _circumstances(settings: Settings, partitions: ProfilePartitions) -> Circumstances:
    names = settings.topics
    admin = Admin(settings)
    needed = (names.profile_events, names.exports, names.flows, names.dead_letters, names.redriven)
    admin.require([spec for spec in topic_specs(settings) if spec.name in needed])
    bounds = timestamp_bounds(read_topic_config(admin, names.profile_events), int(time.time() * 1000))
    state = ControlState().after((Topic.FLOWS, record) for record in read_topic(settings, names.flows))
    flows = state.flows.keys() | state.leaving.keys()
    times = range(max(bounds.earliest, bounds.kept_from), bounds.latest + 1)
    limits = topic_limits(admin, (names.exports, names.profile_events))

    def fits(letter: StoredDeadLetter) -> bool:
        limit = limits[_topic(letter, names)].max_message_bytes
        return limit is None or fits_alone(
            ProducerRecord(letter.was.key, letter.was.value, list(letter.headers)), limit
        )

    def partition_of(letter: StoredDeadLetter) -> int | None:
        if letter.is_of_delivery:
            return letter.partition
        with suppress(NotOnePartition):
            return partitions.choose(letter.was.key or b"", letter.partition)
        return None

    return Circumstances(flows, settings.kinesis_max_record_bytes, times, fits, partition_of)


def _topic(letter: StoredDeadLetter, names: TopicNames) -> str:
    """Where it goes back to."""
    return names.exports if letter.is_of_delivery else names.profile_events


def _look(settings: Settings, selected: Selection, now: Circumstances, marks: dict[str, RedriveMarker]) -> Survey:
    def warn(text: str) -> None:
        click.echo(f"warning: {text}", err=True)

    return survey(read_letters(settings, selected, warn), marks, now)


def _ignore(_: str) -> None:
    """The survey has told it."""


def _to_send(
    letters: Iterable[StoredDeadLetter], marks: dict[str, RedriveMarker], now: Circumstances
) -> Iterator[StoredDeadLetter]:
    """Each letter once, whatever copies there are."""
    seen: set[str] = set()
    for letter in letters:
        if letter.fingerprint not in seen and fate_of(letter, marks, now) is Fate.REDRIVE:
            seen.add(letter.fingerprint)
            yield letter


def _in_order(letters: Iterable[StoredDeadLetter], found: Survey) -> Iterator[StoredDeadLetter]:
    """Lanes that are not in order on the topic come last, put in order."""
    held: list[StoredDeadLetter] = []
    for letter in letters:
        if letter.lane in found.unordered:
            held.append(letter)
        else:
            yield letter
    yield from sorted(held, key=lambda letter: (letter.partition, letter.order))


def _send(
    settings: Settings, redriver: Redriver, letters: Iterable[StoredDeadLetter], now: Circumstances, report: Report
) -> None:
    names = settings.topics
    batch: list[Sent] = []
    done = size = total_size = 0
    for letter in letters:
        partition = now.partition_of(letter)
        assert partition is not None  # as when its fate was decided
        batch.append(Sent(letter, RedriveMarker(format_time(int(time.time())), _topic(letter, names)), partition))
        size += len(letter.was.value or b"")
        if len(batch) >= BATCH_LETTERS or size >= BATCH_BYTES:
            redriver.write(batch)
            done, total_size = done + len(batch), total_size + size
            report(done, total_size)
            batch, size = [], 0
    if batch:
        redriver.write(batch)


def _tell(found: Survey, *, dry_run: bool, as_json: bool) -> None:
    counted = sorted(found.fates.items(), key=lambda item: (item[0][0] or "", *item[0][1:]))
    if as_json:
        letters = [
            {"flow": flow, "reason": reason, "fate": fate, "letters": number}
            for (flow, reason, fate), number in counted
        ]
        click.echo(orjson.dumps({"dryRun": dry_run, "redriven": found.count(Fate.REDRIVE), "letters": letters}))
        return
    would = "would be " if dry_run else ""
    words = {fate: (would if fate is Fate.REDRIVE else "") + text for fate, text in _WORDS.items()}
    rows = [
        [flow or "(profile events)", reason, f"{number:,}", words[fate]] for (flow, reason, fate), number in counted
    ]
    show(Table("dead letters", ["flow", "reason", "letters", "what became of them"], rows, "none is selected"))
