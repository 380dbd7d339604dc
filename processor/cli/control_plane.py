"""Change flows and audiences from the command line as the control API does, by `processor/control`."""

import getpass
import os
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, TypeVar

import click

from processor.catalog import reading
from processor.catalog.state import ControlState, Kept, Topic
from processor.control.draft import Draft
from processor.control.job_progress import read_job_progress
from processor.control.kafka_log import KafkaControlLog
from processor.control.plane import ControlPlane
from processor.foundation.settings import Settings
from processor.kafka.admin import Admin
from processor.kafka.topics import topic_specs
from schemas.audience import Audience
from schemas.destination import mask_secrets
from schemas.flow import Flow
from schemas.model import dump_model
from schemas.wire.audit_events import Author

Result = TypeVar("Result")


def read_state(settings: Settings) -> ControlState:
    """Read flows, audiences and connections as they are; write nothing, and be in nobody's way.

    Raises TopicsMissing, BrokerUnreachable, ReadFailed.
    """
    names = settings.topics
    require_topics(settings, (names.flows, names.audiences, names.connections))
    return reading.read_state(settings)


def read_and_warn(settings: Settings, topic: Topic) -> ControlState:
    """Read the state, and warn on stderr of what cannot be read on one topic."""
    state = read_state(settings)
    for (of, _), text in state.unreadable.items():
        if of is topic:
            click.echo(f"warning: {text}", err=True)
    return state


def as_stored(name: str, kept: Kept[Flow] | Kept[Audience]) -> dict[str, Any]:
    """Return a flow or audience as --json shows it, with secrets masked."""
    return {
        name: mask_secrets(dump_model(kept.item)),
        "etag": kept.etag,
        "createdAt": kept.created_at,
        "updatedAt": kept.updated_at,
    }


def change(settings: Settings, decide: Callable[[Draft], Result]) -> Result:
    """Change flows or audiences, all or nothing. Raises as ControlPlane.change does, and TopicsMissing."""
    require_control_topics(settings)
    with KafkaControlLog(settings) as log:
        return ControlPlane(log, progress=partial(read_job_progress, settings)).change(
            Author(_user(), "command"), decide
        )


def require_control_topics(settings: Settings) -> None:
    """Raise TopicsMissing unless all topics are there that a change writes to."""
    names = settings.topics
    require_topics(settings, (names.flows, names.audiences, names.connections, names.audit_events))


def require_job_topics(settings: Settings) -> None:
    """Raise TopicsMissing unless all topics are there that jobs are looked up on."""
    names = settings.topics
    require_topics(settings, (names.flows, names.job_progress))


def require_import_topics(settings: Settings) -> None:
    """Raise TopicsMissing unless all topics are there that an import reads and writes."""
    names = settings.topics
    changed = (names.flows, names.audiences, names.connections, names.audit_events)
    require_topics(settings, (*changed, names.profile_events, names.changelog, names.exports))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"


def require_topics(settings: Settings, topics: Collection[str]) -> None:
    """Raise TopicsMissing unless these topics exist, as they should be."""
    Admin(settings).require([spec for spec in topic_specs(settings) if spec.name in topics])
