"""The faults of topics' configuration that a worker must not start with.

Other differences are warnings of `init` and `check`.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import structlog

from processor.foundation.settings import Settings
from processor.kafka.admin import TopicConfigs
from processor.kafka.errors import TopicFault
from processor.kafka.limits import BATCH_BYTES
from processor.kafka.rights import GRANT, NOT_CHECKED
from processor.kafka.topics import LETTER_BYTES, TopicSpec, topic_specs

_BY_THE_BROKER: Final = "LogAppendTime"
HEADERS_BYTES: Final = 16 * 1024  # what a dead letter adds to its event, at most about
_ANY_BYTES: Final = str(2**31 - 1)
_ANY_TIME: Final = str(2**63 - 1)
_POLICY: Final = "cleanup.policy"
_SIZE: Final = "max.message.bytes"
_DEFAULTS: Final = {
    _POLICY: "delete",
    "message.timestamp.type": "CreateTime",
    "message.timestamp.before.max.ms": _ANY_TIME,
    "message.timestamp.after.max.ms": _ANY_TIME,
}
_log = structlog.get_logger(__name__)


def faults_of_topics(settings: Settings, told: TopicConfigs | None) -> list[TopicFault]:
    """Return what of the topics' configuration would lose something.

    A topic of which the broker does not tell, or may not tell us, has no fault.
    """
    if told is None:
        return []
    configs = _fitting(settings, told)
    return [*_policy_faults(settings, configs), *_size_faults(settings, configs)]


def warn_of_topics(settings: Settings, told: TopicConfigs | None) -> None:
    """Log what was not checked, and what is no reason not to start."""
    if told is None:
        _log.warning(
            "topics_not_checked", reason="this broker does not tell how topics are configured", not_checked=NOT_CHECKED
        )
        return
    if told.denied:
        _log.warning(
            "topics_not_checked",
            topics=told.denied,
            reason="DescribeConfigs is denied",
            not_checked=NOT_CHECKED,
            remedy=GRANT,
        )
    configs = _fitting(settings, told)
    _warn_of_narrow_dead_letters(settings.topics.dead_letters, configs[settings.topics.dead_letters])
    _warn_of_retention(settings.topics.exports, configs[settings.topics.exports])
    _warn_of_the_clock(settings.topics.worker_status, configs[settings.topics.worker_status])


def _fitting(settings: Settings, told: TopicConfigs) -> dict[str, Mapping[str, str]]:
    return {spec.name: told.found.get(spec.name) or _taken_to_fit(spec, settings) for spec in topic_specs(settings)}


def _taken_to_fit(spec: TopicSpec, settings: Settings) -> Mapping[str, str]:
    """Return a configuration in which no check finds a fault: of a topic of which the broker may not tell us."""
    largest = "0" if spec.name == settings.topics.profile_events else _ANY_BYTES
    return {**_DEFAULTS, **spec.initial, **spec.config, _SIZE: largest}


def _warn_of_retention(exports: str, config: Mapping[str, str]) -> None:
    """Warn where `exports` is limited: that is no reason not to start, but takes what waits for a destination, too."""
    for option in ("retention.ms", "retention.bytes"):
        if config[option] != "-1":
            said = {
                "topic": exports,
                option.replace(".", "_"): config[option],
                "remedy": f"set {option} of {exports} to -1",
            }
            _log.warning("waiting_records_may_be_removed", **said, lost="records of a flow that is paused for longer")


def _warn_of_narrow_dead_letters(letters: str, config: Mapping[str, str]) -> None:
    """Warn where `dead-letters` is narrow: that is no reason not to start, the broker may take no more.

    An event that holds many times what its producer made of it will stop the worker.
    """
    found = int(config[_SIZE])
    if found < LETTER_BYTES:
        remedy = f"set max.message.bytes of {letters} to {LETTER_BYTES}"
        _log.warning("large_dead_letters_may_not_fit", topic=letters, max_message_bytes=found, remedy=remedy)


def _warn_of_the_clock(status: str, config: Mapping[str, str]) -> None:
    """Warn where the broker's clock guards nothing: that is no reason not to start.

    Memberships end by this machine's clock then, as they did before there was a guard (pipeline/broker_clock.py).
    """
    found = config.get("message.timestamp.type", _BY_THE_BROKER)
    if found != _BY_THE_BROKER:
        remedy = (
            f"kafka-configs.sh --alter --entity-type topics --entity-name {status} --add-config"
            f" message.timestamp.type={_BY_THE_BROKER}"
        )
        effect = "a clock of this machine that is ahead ends memberships too early, for good"
        _log.warning("clock_is_not_guarded", topic=status, message_timestamp_type=found, effect=effect, remedy=remedy)


def _policy_faults(settings: Settings, configs: Mapping[str, Mapping[str, str]]) -> Iterator[TopicFault]:
    names = settings.topics
    compacted = (
        (names.changelog, "state"),
        (names.flows, "flows"),
        (names.audiences, "audiences"),
        (names.redriven, "marks"),
        (names.delivery_positions, "records of paused flows"),
    )
    for topic, lost in compacted:
        if (policy := configs[topic][_POLICY]) != "compact":
            yield TopicFault(topic, _POLICY, f"{_POLICY} is {policy}, must be compact: {lost} would be lost")
    for topic in (names.profile_events, names.exports, names.dead_letters):
        if "compact" in (policy := configs[topic][_POLICY]):
            yield TopicFault(topic, _POLICY, f"{_POLICY} is {policy}, must not be compact: records would be lost")


def _size_faults(settings: Settings, configs: Mapping[str, Mapping[str, str]]) -> Iterator[TopicFault]:
    """Yield topics that do not take what is written to them.

    What the worker writes must fit, and an event that cannot be used on `dead-letters`, whole: it would never get past
    it.
    """
    names, least = settings.topics, BATCH_BYTES + HEADERS_BYTES
    for topic in (names.exports, names.changelog):
        if int(found := configs[topic][_SIZE]) < settings.max_message_bytes:
            yield TopicFault(
                topic, _SIZE, f"{_SIZE} is {found}, must be {settings.max_message_bytes}: a record might not fit"
            )
    source, letters = (configs[topic][_SIZE] for topic in (names.profile_events, names.dead_letters))
    if int(letters) < least:
        text = f"{_SIZE} is {letters}, must be {least}: dead letters might not fit"
        yield TopicFault(names.dead_letters, _SIZE, text)
    elif int(source) + HEADERS_BYTES > int(letters):
        text = (
            f"{_SIZE} is {letters}, less than {names.profile_events} takes ({source}) and {HEADERS_BYTES} for headers: "
            "an unusable event of that size could not be dead-lettered"
        )
        yield TopicFault(names.dead_letters, _SIZE, text)
