"""`profile-exporter status`: workers, partitions, lag, rows, flows and counts, as tables or as JSON."""

from datetime import UTC, datetime

import click
import orjson

from processor.catalog.reading import read_state
from processor.catalog.state import Topic
from processor.cli.control_plane import require_topics
from processor.cli.views.status_json import status_object
from processor.cli.views.status_report import Lag, Overview, build_overview
from processor.cli.views.status_tables import status_tables
from processor.cli.views.tables import print_table
from processor.dead_letters.counts import count_dead_letters
from processor.foundation.settings import Settings, read_settings
from processor.kafka.group_lag import group_lag
from processor.kafka.reading import read_compacted
from processor.worker.adapters.parked_rows import parked_flows
from schemas.kafka import BadRecord
from schemas.wire.worker_status import decode_worker_status
from schemas.worker_status import WorkerStatus


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object. [default: tables]")
def status(as_json: bool) -> None:
    """Show workers, partitions, lag, rows, flows and counts.

    Counts are of each worker since it started; dead letters are also counted as the topic holds them, by flow and
    reason (at least so many, where reading them takes longer than 10 s). Reads topics only; nothing is written or
    committed.
    """
    settings = read_settings()
    now = datetime.now(UTC)
    found = read_overview(settings, now)
    if as_json:
        click.echo(orjson.dumps(status_object(found, settings, now)))
        return
    for problem in found.problems:
        click.echo(f"warning: {problem}", err=True)
    for table in status_tables(found):
        print_table(table)


def read_overview(settings: Settings, now: datetime) -> Overview:
    """Read all that Kafka knows; raise BrokerUnreachable, TopicsMissing, WrongPartitionCounts, ReadFailed."""
    names = settings.topics
    read = (
        names.profile_events,
        names.exports,
        names.flows,
        names.worker_status,
        names.dead_letters,
        names.redriven,
        names.delivery_positions,
    )
    require_topics(settings, read)
    problems: list[str] = []
    state = read_state(settings, (Topic.FLOWS,))
    problems.extend(state.unreadable.values())
    flows = {flow_id: kept.item for flow_id, kept in state.flows.items()}
    statuses = read_statuses(settings, problems)
    lags = group_lag(settings, [names.profile_events, names.exports])
    by_topic = {
        title: {each.partition: Lag(each.committed, each.start, each.end, each.lag) for each in lags[topic]}
        for title, topic in (("profile-events", names.profile_events), ("exports", names.exports))
    }
    dead_letter_counts = count_dead_letters(settings, problems.append)
    return build_overview(statuses, flows, by_topic, dead_letter_counts, parked_flows(settings), problems, now)


def read_statuses(settings: Settings, problems: list[str]) -> list[WorkerStatus]:
    """Read the workers' last reports, and add to `problems` what cannot be read.

    Raises BrokerUnreachable, ReadFailed.
    """
    statuses: list[WorkerStatus] = []
    for key, value in read_compacted(settings, settings.topics.worker_status).items():
        try:
            statuses.append(decode_worker_status(key, value))
        except BadRecord as bad:
            problems.append(str(bad))
    return statuses
