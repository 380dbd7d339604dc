"""Other installations whose names fall together with ours: found at a worker's start, before either harms the other.

    the same APP_ID, another TOPIC_PREFIX       one consumer group: workers get partitions of topics that they do not
                                                know
    APP_ID a, TOPIC_PREFIX b-, and APP_ID a-b   the same transactional ids: each takeover fences the other's workers

What counts is who is there now: members of a group and the topics that they work on. Names are never changed to tell
installations apart, since a worker under another name would not fence one of before.
"""

from collections.abc import Iterator
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from processor.foundation.errors import UsageError
from processor.foundation.settings import Settings
from processor.foundation.settings_environment import env_name
from processor.kafka.admin import ANSWER_SECONDS, has_controller
from processor.kafka.connection import confluent_config
from processor.kafka.errors import BrokerUnreachable

_AWAY: Final = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._DESTROY_BROKER,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._TRANSPORT,
        KafkaError._WAIT_COORD,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_COORDINATOR,
        KafkaError.REQUEST_TIMED_OUT,
    }
)
"""Errors that pass; librdkafka itself calls none of them retriable."""
_log = structlog.get_logger(__name__)


class NameTaken(UsageError):
    """Workers of another installation use a name of ours."""

    def __init__(self, shared: str, group: str, topics: set[str]) -> None:
        super().__init__(
            f"another installation has the same {shared}: workers of the consumer group {group} work on"
            f" {', '.join(sorted(topics))}\n  give each installation on this cluster an {env_name('app_id')} of its"
            " own, or stop the other's workers"
        )


def require_alone(settings: Settings) -> None:
    """Raise NameTaken where a worker of another installation has names of ours; blocks, for 20 s at most.

    Raises BrokerUnreachable.

    A broker that does not describe groups is no reason not to start.
    """
    client = AdminClient(confluent_config(settings))
    groups = dict(_groups_with_our_ids(settings))
    try:
        if not has_controller(client.list_topics(timeout=ANSWER_SECONDS)):
            return  # the embedded broker, which does not describe groups, and has one installation
        asked = client.describe_consumer_groups([settings.app_id, *groups], request_timeout=ANSWER_SECONDS)
    except KafkaException as error:
        raise BrokerUnreachable(settings, error.args[0].str()) from None
    topics = {group: _topics_of_members(settings, group, future) for group, future in asked.items()}
    if others := topics[settings.app_id] - set(settings.topics):
        raise NameTaken(f"{env_name('app_id')}, {settings.app_id}, with other topics", settings.app_id, others)
    for group, source in groups.items():
        if source in topics[group]:
            raise NameTaken(
                f"transactional ids, {settings.app_id}-{settings.topics.profile_events}-PARTITION", group, {source}
            )


def _groups_with_our_ids(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield (APP_ID, topic of profile events) of every other installation that would have our transactional ids."""
    ours = f"{settings.app_id}-{settings.topics.profile_events}"
    for end, letter in enumerate(ours):
        if letter == "-" and end and ours[:end] != settings.app_id and ours.endswith("profile-events", end + 1):
            yield ours[:end], ours[end + 1 :]


def _topics_of_members(settings: Settings, group: str, described: object) -> set[str]:
    """Return the topics of which a group's members have partitions.

    They are none where there is no such group, or where the broker does not say.
    """
    try:
        members = described.result().members  # type: ignore[attr-defined]  # a Future, which has no public type
    except KafkaException as error:
        reason: KafkaError = error.args[0]
        if reason.code() == KafkaError.GROUP_ID_NOT_FOUND:
            return set()
        if reason.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            _log.info(
                "group_not_checked",
                group=group,
                reason="we may not describe it",
                not_checked="whether another installation uses our names",
            )
            return set()
        if reason.code() in _AWAY:
            raise BrokerUnreachable(settings, f"{reason.str().strip(' :')} ({reason.name()})") from None
        _log.warning(
            "group_not_checked",
            group=group,
            reason=reason.str(),
            not_checked="whether another installation uses our names",
        )
        return set()
    return {
        place.topic
        for member in members
        if member.assignment is not None
        for place in member.assignment.topic_partitions
    }
