"""What of the topics' configuration a worker must not start with. Other differences are warnings of `init` and `check`."""

from collections.abc import Iterator, Mapping
from typing import Final

import structlog

from processor.kafka.admin import Admin
from processor.kafka.errors import UnsafeTopics
from processor.kafka.topics import topic_specs
from processor.settings import Settings

HEADERS_BYTES: Final = 16 * 1024  # what a dead letter adds to its event, at most about
_log = structlog.get_logger(__name__)


def require_safe(admin: Admin, settings: Settings) -> float | None:
    """How long the changelog keeps tombstones, in seconds; None where the broker does not tell, or may not tell us. Raises UnsafeTopics."""
    configs: dict[str, Mapping[str, str]] = {}
    for spec in topic_specs(settings):
        config = admin.config(spec.name)
        if config is None:
            return None
        configs[spec.name] = config
    if faults := [*_policy_faults(settings, configs), *_size_faults(settings, configs)]:
        raise UnsafeTopics(faults)
    _warn_of_retention(settings.topics.exports, configs[settings.topics.exports])
    return int(configs[settings.topics.changelog]["delete.retention.ms"]) / 1000


def _warn_of_retention(exports: str, config: Mapping[str, str]) -> None:
    """No reason not to start: who limits `exports` may want that; but it takes what waits for a destination, too."""
    for option in ("retention.ms", "retention.bytes"):
        if config[option] != "-1":
            said = {"topic": exports, option.replace(".", "_"): config[option], "remedy": f"set {option} of {exports} to -1"}
            _log.warning("waiting_records_may_be_removed", **said, lost="records of a flow that is paused for longer")


def _policy_faults(settings: Settings, configs: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    names = settings.topics
    compacted = (
        (names.changelog, "state"),
        (names.flows, "flows"),
        (names.audiences, "audiences"),
        (names.redriven, "marks"),
        (names.delivery_positions, "records of paused flows"),
    )
    for topic, lost in compacted:
        if configs[topic]["cleanup.policy"] != "compact":
            yield f"{topic}: cleanup.policy is {configs[topic]['cleanup.policy']}, must be compact: {lost} would be lost"
    for topic in (names.profile_events, names.exports, names.dead_letters):
        if "compact" in configs[topic]["cleanup.policy"]:
            yield f"{topic}: cleanup.policy is {configs[topic]['cleanup.policy']}, must not be compact: records would be lost"


def _size_faults(settings: Settings, configs: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """What the worker writes must fit, and an event that cannot be used on `dead-letters`, whole: it would never get past it."""
    for topic in (settings.topics.exports, settings.topics.changelog):
        if int(configs[topic]["max.message.bytes"]) < settings.max_message_bytes:
            yield f"{topic}: max.message.bytes is {configs[topic]['max.message.bytes']}, must be {settings.max_message_bytes}: a record might not fit"
    source, letters = (configs[topic]["max.message.bytes"] for topic in (settings.topics.profile_events, settings.topics.dead_letters))
    if int(source) + HEADERS_BYTES > int(letters):
        yield (
            f"{settings.topics.dead_letters}: max.message.bytes is {letters}, less than {settings.topics.profile_events} takes ({source}) "
            f"and {HEADERS_BYTES} for headers: an unusable event of that size could not be put aside"
        )
