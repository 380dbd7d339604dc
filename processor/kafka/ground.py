"""The conditions under which a worker starts, judged in one place for the worker, `check` and `init`.

    settings    keys for secrets, certificates                         UsageError, SettingsRefused
    topics      there, with as many partitions as the settings say     TopicsMissing, WrongPartitionCounts
    names       no worker of another installation has one of ours      NameTaken
    configs     nothing that loses records, state or flows             UnsafeTopics

A worker does not start with the first refusal; `check` and `init` tell all, in the same words. The settings come first:
without them nobody is asked.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from processor.foundation.errors import UsageError
from processor.foundation.secrets import secrets_of
from processor.foundation.settings import Settings
from processor.kafka.admin import Admin, TopicConfigs, wrong_counts
from processor.kafka.connection import ssl_context
from processor.kafka.errors import TopicsMissing, UnsafeTopics, WrongPartitionCounts
from processor.kafka.limits import TopicLimits, limits_of
from processor.kafka.topics import topic_specs


def require_settings(settings: Settings) -> None:
    """Raise UsageError for settings with which nothing of ours starts, although each of them is well formed."""
    secrets_of(settings)
    ssl_context(settings)


class Ground:
    """The conditions as the broker describes them when it is first asked; each thing is asked for once.

    Every look raises BrokerUnreachable.
    """

    def __init__(self, admin: Admin, settings: Settings) -> None:
        self._admin = admin
        self._settings = settings
        self.specs = topic_specs(settings)

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Return every topic on the broker, and how many partitions it has."""
        return self._admin.partition_counts()

    @cached_property
    def configs(self) -> TopicConfigs | None:
        """Return the configurations of those of our topics that are there; None where the broker does not tell."""
        return self._admin.configs([spec.name for spec in self.specs if spec.name in self.counts])

    def refusals(self) -> Iterator[UsageError]:
        """Yield everything that a worker does not start with, in the order in which it looks.

        Each is looked for when the one before was taken. The settings are looked at before there is an admin
        (`require_settings`).
        """
        # Structlog comes with it: not before the broker answers.
        from processor.kafka.neighbours import NameTaken, require_alone  # noqa: PLC0415
        from processor.kafka.safety import faults_of_topics  # noqa: PLC0415  # as above

        if missing := [spec.name for spec in self.specs if spec.name not in self.counts]:
            yield TopicsMissing(missing)
        if wrong := wrong_counts(self.specs, self.counts):
            yield WrongPartitionCounts(wrong)
        try:
            require_alone(self._settings)
        except NameTaken as taken:
            yield taken
        if faults := faults_of_topics(self._settings, self.configs):
            yield UnsafeTopics(faults)

    def require(self) -> None:
        """Raise the first refusal; of what is not refused and may lose something, warn in the log."""
        from processor.kafka.safety import warn_of_topics  # noqa: PLC0415  # as in `refusals`

        for refusal in self.refusals():
            raise refusal
        warn_of_topics(self._settings, self.configs)

    def limits(self, topics: Sequence[str]) -> dict[str, TopicLimits]:
        """Return what these topics take."""
        return limits_of(self.configs, topics)

    def tombstone_seconds(self) -> float | None:
        """Return how long the changelog keeps tombstones; None where the broker does not, or may not, tell."""
        changelog = None if self.configs is None else self.configs.found.get(self._settings.topics.changelog)
        return None if changelog is None else int(changelog["delete.retention.ms"]) / 1000
