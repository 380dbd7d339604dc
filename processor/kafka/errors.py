"""The errors of a broker and its topics; each text names the thing and the remedy."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from processor.foundation.errors import CommandError, StoppedForOperator, UsageError
from processor.foundation.login_fields import AWS_MSK_IAM, OAUTHBEARER
from processor.foundation.settings import Settings
from processor.foundation.settings_environment import env_name
from processor.login.token import TokenUnavailable

_REMEDY = "run `profile-exporter init`"


class BrokerUnreachable(CommandError):
    """No broker answered in time."""

    def __init__(self, settings: Settings, reason: str) -> None:
        address, protocol = settings.kafka_bootstrap_servers, settings.kafka_security_protocol
        super().__init__(
            f"no answer from a Kafka broker at {address} ({protocol}): {reason}\n  start one, or name another with"
            f" {env_name('kafka_bootstrap_servers')}; `profile-exporter check` shows the settings in force"
        )


class NoTokenForKafka(BrokerUnreachable):
    """No token is there to log in with, so no broker was asked."""

    def __init__(self, unavailable: TokenUnavailable) -> None:
        CommandError.__init__(self, f"no token to log in to Kafka with: {unavailable.what}\n  {unavailable.remedy}")


class LoginRefused(BrokerUnreachable):
    """A broker answers, and does not let us in."""

    def __init__(self, settings: Settings, reason: str) -> None:
        address, mechanism = settings.kafka_bootstrap_servers, settings.kafka_sasl_mechanism
        CommandError.__init__(
            self, f"Kafka at {address} refuses the login ({mechanism}): {reason}\n  {_login_remedy(settings)}"
        )


def _login_remedy(settings: Settings) -> str:
    if settings.kafka_sasl_mechanism == OAUTHBEARER:
        return (
            "the token was made, and Kafka does not take it: compare its issuer, audience and scope with what the"
            " listener expects (sasl.oauthbearer.expected.*), its end with the clocks, and look at the broker's log"
        )
    if settings.kafka_sasl_mechanism == AWS_MSK_IAM:
        return (
            "allow kafka-cluster:Connect on this cluster to the credentials in force (docs/operations.md has the whole"
            f" policy); the region of {env_name('kafka_aws_region')} and IAM's port, 9098, must be the cluster's, and"
            " this machine's clock right"
        )
    return f"set {env_name('kafka_sasl_mechanism')}, …USERNAME and …PASSWORD as Kafka knows them"


class SettingsRefused(UsageError):
    """The Kafka client does not take the settings, as for a certificate file that it cannot read."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"wrong settings: the Kafka client refuses them: {reason}\n  they are the variables {env_name('kafka')}_…"
        )


class TopicsMissing(UsageError):
    """Topics that must be there are not."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"missing on the broker: {', '.join(names)}\n  {_REMEDY}")
        self.names = tuple(names)


class WrongPartitionCounts(UsageError):
    """Topics have other partition counts than the settings say. `counts`: topic → (found, wanted)."""

    def __init__(self, counts: Mapping[str, tuple[int, int]]) -> None:
        lines = [f"{topic} has {found} partitions, {wanted} are wanted" for topic, (found, wanted) in counts.items()]
        remedy = (
            f"  set {env_name('partitions')} to what profile-events, exports, dead-letters, delivery-positions and"
            " changelog have; where they differ among themselves, or a topic of one partition has more, delete the"
            f" wrong topic (its records are lost) and {_REMEDY}"
        )
        super().__init__("\n".join([*lines, remedy]))
        self.counts = dict(counts)


class TopicFault(NamedTuple):
    """An option of a topic, and in words what would be lost by its value."""

    topic: str
    option: str
    text: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.text}"


class UnsafeTopics(UsageError):
    """Topics are configured so that records, state or flows would be lost."""

    def __init__(self, faults: Sequence[TopicFault]) -> None:
        super().__init__(
            "\n".join([*map(str, faults), "  change it with kafka-configs.sh --alter, then start the worker again"])
        )
        self.faults = tuple(faults)


class WriteFailed(CommandError):
    """Records were not acknowledged; `faults` are one text each."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(["not everything was written to Kafka:", *faults]))
        self.faults = tuple(faults)


class RecordTooLarge(StoppedForOperator):
    """A topic is too narrow for what was written to it.

    `what` says from where to where it comes, `skip_to` where an operator could go on.
    """

    def __init__(self, topic: str, what: str, skip_to: tuple[int, int] | None) -> None:
        raising = f"raise max.message.bytes of {topic} with kafka-configs.sh --alter, and start the worker again"
        super().__init__(
            f"{topic} does not take {what}: it is larger than max.message.bytes of the topic\n "
            f" {raising}{_leaving_out(skip_to)}"
        )


def _leaving_out(skip_to: tuple[int, int] | None) -> str:
    if skip_to is None:
        return ""
    where = f"{env_name('skip_to')}={skip_to[0]}:{skip_to[1]}"
    return (
        f"; or leave it out with {where} for one start (and every earlier event of the partition that is not done yet)"
    )


class TimestampRefused(StoppedForOperator):
    """A topic takes no record of this time. `what` says from where to where it comes."""

    def __init__(self, topic: str, what: str) -> None:
        super().__init__(
            f"{topic} refuses the timestamp of {what}\n"
            "  compare the clocks of this machine and of the brokers, and look at message.timestamp.before.max.ms and "
            f"message.timestamp.after.max.ms of {topic}; then start the worker again"
        )


class ReadFailed(CommandError):
    """A topic could not be read to its end."""


class ReadDenied(ReadFailed):
    """The broker does not let us read a topic, whoever asks and however often."""
