"""What of the topics' configuration a worker must not start with. Other differences are warnings of `init` and `check`."""

from collections.abc import Iterator, Mapping
from typing import Final

import structlog

from processor.kafka.admin import Admin
from processor.kafka.errors import UnsafeTopics
from processor.kafka.letter_batches import BATCH_BYTES
from processor.kafka.rights import GRANT, NOT_CHECKED
from processor.kafka.topics import LETTER_BYTES, TopicSpec, topic_specs
from processor.settings import Settings

_BY_THE_BROKER: Final = "LogAppendTime"
HEADERS_BYTES: Final = 16 * 1024  # what a dead letter adds to its event, at most about
_ANY_BYTES: Final = str(2**31 - 1)
_ANY_TIME: Final = str(2**63 - 1)
_DEFAULTS: Final = {
    "cleanup.policy": "delete",
    "message.timestamp.type": "CreateTime",
    "message.timestamp.before.max.ms": _ANY_TIME,
    "message.timestamp.after.max.ms": _ANY_TIME,
}
_log = structlog.get_logger(__name__)


def require_safe(admin: Admin, settings: Settings) -> float | None:
    """How long the changelog keeps tombstones, in seconds; None where the broker does not tell, or may not tell us. Raises UnsafeTopics.

    A topic of which the broker may not tell us is not checked, and that is logged; the others are.
    """
    specs = topic_specs(settings)
    told = admin.configs([spec.name for spec in specs])
    if told is None:
        _log.warning("topics_not_checked", reason="this broker does not tell how topics are configured", not_checked=NOT_CHECKED)
        return None
    if told.denied:
        _log.warning("topics_not_checked", topics=told.denied, reason="DescribeConfigs is denied", not_checked=NOT_CHECKED, remedy=GRANT)
    configs = {spec.name: told.found.get(spec.name) or _taken_to_fit(spec, settings) for spec in specs}
    if faults := [*_policy_faults(settings, configs), *_size_faults(settings, configs)]:
        raise UnsafeTopics(faults)
    _warn_of_letters(settings.topics.dead_letters, configs[settings.topics.dead_letters])
    _warn_of_retention(settings.topics.exports, configs[settings.topics.exports])
    _warn_of_the_clock(settings.topics.worker_status, configs[settings.topics.worker_status])
    changelog = told.found.get(settings.topics.changelog)
    return None if changelog is None else int(changelog["delete.retention.ms"]) / 1000


def _taken_to_fit(spec: TopicSpec, settings: Settings) -> Mapping[str, str]:
    """A configuration in which no check finds a fault: of a topic of which the broker may not tell us."""
    largest = "0" if spec.name == settings.topics.profile_events else _ANY_BYTES
    return {**_DEFAULTS, **spec.initial, **spec.config, "max.message.bytes": largest}


def _warn_of_retention(exports: str, config: Mapping[str, str]) -> None:
    """No reason not to start: who limits `exports` may want that; but it takes what waits for a destination, too."""
    for option in ("retention.ms", "retention.bytes"):
        if config[option] != "-1":
            said = {"topic": exports, option.replace(".", "_"): config[option], "remedy": f"set {option} of {exports} to -1"}
            _log.warning("waiting_records_may_be_removed", **said, lost="records of a flow that is paused for longer")


def _warn_of_letters(letters: str, config: Mapping[str, str]) -> None:
    """No reason not to start: the broker may take no more. An event that holds many times what its producer made of it will stop the worker."""
    found = int(config["max.message.bytes"])
    if found < LETTER_BYTES:
        remedy = f"set max.message.bytes of {letters} to {LETTER_BYTES}"
        _log.warning("large_dead_letters_may_not_fit", topic=letters, max_message_bytes=found, remedy=remedy)


def _warn_of_the_clock(status: str, config: Mapping[str, str]) -> None:
    """No reason not to start: memberships end by this machine's clock then, as they did before there was a guard (pipeline/broker_clock.py)."""
    found = config.get("message.timestamp.type", _BY_THE_BROKER)
    if found != _BY_THE_BROKER:
        remedy = f"kafka-configs.sh --alter --entity-type topics --entity-name {status} --add-config message.timestamp.type={_BY_THE_BROKER}"
        effect = "a clock of this machine that is ahead ends memberships too early, for good"
        _log.warning("clock_is_not_guarded", topic=status, message_timestamp_type=found, effect=effect, remedy=remedy)


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
    if int(letters) < BATCH_BYTES + HEADERS_BYTES:
        yield f"{settings.topics.dead_letters}: max.message.bytes is {letters}, must be {BATCH_BYTES + HEADERS_BYTES}: letters might not fit"
    elif int(source) + HEADERS_BYTES > int(letters):
        yield (
            f"{settings.topics.dead_letters}: max.message.bytes is {letters}, less than {settings.topics.profile_events} takes ({source}) "
            f"and {HEADERS_BYTES} for headers: an unusable event of that size could not be put aside"
        )
