"""Read the settings once from `PROFILE_EXPORTER_…` variables, or `.env`; check them, and never change them.

The environment wins over the file. Composition roots read them; everything else receives what it needs.
"""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from processor.foundation.env_file import OF_THE_ENVIRONMENT, Environment, read_env_file
from processor.foundation.errors import UsageError
from processor.foundation.gaps import GAPS_PATTERN, AcceptedGaps, accepted_gaps, normal_acceptance
from processor.foundation.login_fields import AWS_REGION, AWS_ROLE, login_faults
from processor.foundation.sizes import GIB, KIB, MIB, TIB
from schemas.destination import MASKED
from schemas.partitioner import Partitioner

ENV_PREFIX: Final = "PROFILE_EXPORTER_"

_TOPIC_PREFIX: Final = r"^[A-Za-z0-9._-]{0,100}$"
_APP_ID: Final = r"^[A-Za-z0-9._-]{1,100}$"
_PORT: Final = r"(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
_HOST: Final = (  # no scheme, user or path: each client would read another address out of them
    r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])"
)
_ADDRESSES: Final = rf"^{_HOST}:{_PORT}(\s*,\s*{_HOST}:{_PORT})*$"


_EXTENSIONS: Final = r"^[A-Za-z]+=[!-+\--~]+(\s*,\s*[A-Za-z]+=[!-+\--~]+)*$"  # RFC 7628, section 3.1; no commas
_ROLE_SESSION: Final = r"^[A-Za-z0-9_+=,.@-]{2,64}$"  # as STS takes it


class ProcessingGuarantee(StrEnum):
    """The guarantee between a profile's state and its exports (docs/architecture.md, "The durability order")."""

    EXACTLY_ONCE = "exactly_once"
    AT_LEAST_ONCE = "at_least_once"


class TopicNames(NamedTuple):
    """The names of our topics, prefix included."""

    profile_events: str
    exports: str
    flows: str
    audiences: str
    dead_letters: str
    redriven: str
    worker_status: str
    delivery_positions: str
    connections: str
    audit_events: str
    job_progress: str
    changelog: str


_HOST_OR_BELOW: Final = r"((\*\.)?[A-Za-z0-9_.:-]+|\[[0-9A-Fa-f:.]+\](:[0-9]+)?)"
_HOSTS: Final = rf"^({_HOST_OR_BELOW}(\s*,\s*{_HOST_OR_BELOW})*)?$"
_SKIPS: Final = r"^([0-9]+:[0-9]+(\s*,\s*[0-9]+:[0-9]+)*)?$"

KafkaSecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM"]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "console"]
Positive = Annotated[int, Field(ge=1, le=1_000_000_000)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


def _hosts_without_ports(text: str) -> str:
    """Return names and addresses separated by commas, in lower case, without brackets and last dots.

    Raises ValueError for one with a port.
    """
    return ",".join(_host_without_port(each.strip()) for each in text.split(",") if each.strip())


def _host_without_port(host: str) -> str:
    plain = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if ":" in plain:
        try:
            return str(ipaddress.IPv6Address(plain))
        except ValueError:
            raise ValueError(f"{host} is no host: name it without a port, every port of it is meant") from None
    return plain.lower().rstrip(".")


class _EnvFile(PydanticBaseSettingsSource):
    """The source of `.env`, read literally: the library's own source expands `${…}` and cuts values at ` #`."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        self._values = {name.upper(): value for name, value in read_env_file().items()}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str | None, str, bool]:  # noqa: ARG002  # the library's signature
        """The value of one setting; None where the file says nothing."""
        return self._values.get(env_name(field_name)) or None, field_name, False

    def __call__(self) -> dict[str, str]:
        """The settings that the file says."""
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


_READ_BY_US: Final = (  # no file that there can be: the library reads nothing of it; None: nobody reads any
    ".env/read-by-processor.foundation.env_file"
)


class _FromEnvironment(BaseSettings):
    """Read from the environment, and below it from `.env`, unless `_env_file` is None."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_file=_READ_BY_US, extra="ignore", frozen=True, env_ignore_empty=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the library's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The first source that says a setting wins."""
        file = () if getattr(dotenv_settings, "env_file", None) is None else (_EnvFile(settings_cls),)
        return (init_settings, env_settings, *file)


class Settings(_FromEnvironment):
    """Every setting of the product; each has a default, a unit where it measures something, and bounds."""

    kafka_bootstrap_servers: Annotated[str, Field(pattern=_ADDRESSES)] = Field(
        default="127.0.0.1:9092", description="Kafka brokers to ask first: host:port, more of them separated by commas."
    )
    kafka_security_protocol: KafkaSecurityProtocol = Field(default="PLAINTEXT", description="How to talk to Kafka.")
    kafka_sasl_mechanism: SaslMechanism | None = Field(
        default=None,
        description=(
            "How to log in to Kafka, with a SASL_ protocol: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or"
            " AWS_MSK_IAM."
        ),
    )
    kafka_sasl_username: str | None = Field(default=None, description="The user, with PLAIN and SCRAM.")
    kafka_sasl_password: SecretStr | None = Field(
        default=None, description="The user's password, with PLAIN and SCRAM."
    )
    kafka_oauth_token_url: str | None = Field(
        default=None,
        description=(
            "With OAUTHBEARER: where OAuth 2.0 tokens are made (client credentials); https, or http on this machine."
        ),
    )
    kafka_oauth_client_id: str | None = Field(default=None, description="The client that asks there.")
    kafka_oauth_client_secret: SecretStr | None = Field(default=None, description="That client's secret.")
    kafka_oauth_scope: str | None = Field(
        default=None, description="The scopes that it asks for, separated by blanks; unset: the endpoint's own."
    )
    kafka_oauth_ca_file: Path | None = Field(
        default=None, description="PEM file of the authorities that vouch for the token endpoint; unset: the system's."
    )
    kafka_oauth_token_file: Path | None = Field(
        default=None,
        description="With OAUTHBEARER, instead of an endpoint: a file with a token, which somebody else renews.",
    )
    kafka_oauth_extensions: Annotated[str, Field(pattern=_EXTENSIONS)] | None = Field(
        default=None,
        description=(
            "With OAUTHBEARER: SASL extensions that Kafka wants beside the token: name=value, separated by commas."
        ),
    )
    kafka_aws_region: Annotated[str, Field(pattern=AWS_REGION)] | None = Field(
        default=None, description="With AWS_MSK_IAM: the cluster's region."
    )
    kafka_aws_profile: str | None = Field(
        default=None,
        description="With AWS_MSK_IAM: a profile of the AWS configuration files; unset: boto3's default chain.",
    )
    kafka_aws_role_arn: Annotated[str, Field(pattern=AWS_ROLE)] | None = Field(
        default=None, description="With AWS_MSK_IAM: a role to assume, from the profile or the default chain."
    )
    kafka_aws_external_id: str | None = Field(default=None, description="The external id that this role asks for.")
    kafka_aws_role_session_name: Annotated[str, Field(pattern=_ROLE_SESSION)] | None = Field(
        default=None,
        description="The name of its session, as CloudTrail and Kafka's logs show it; unset: profile-exporter.",
    )
    kafka_ssl_ca_file: Path | None = Field(
        default=None, description="PEM file of the authorities that vouch for Kafka; unset: the system's."
    )
    kafka_ssl_certificate_file: Path | None = Field(
        default=None, description="PEM file of our own certificate, where Kafka wants one."
    )
    kafka_ssl_key_file: Path | None = Field(
        default=None, description="PEM file of that certificate's key, without a passphrase."
    )

    app_id: Annotated[str, Field(pattern=_APP_ID)] = Field(
        default="profile-exporter",
        description="Name of this installation, and of its consumer group: letters, digits, . _ -",
    )
    topic_prefix: Annotated[str, Field(pattern=_TOPIC_PREFIX)] = Field(
        default="", description="Stands before all topics' names: letters, digits, . _ -"
    )
    partitions: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=8,
        description=(
            "Partitions of profile-events, exports, dead-letters, delivery-positions, job-progress and changelog."
        ),
    )
    partitioner: Partitioner = Field(
        default=Partitioner.MURMUR2,
        description=(
            "Where producers put the events of a key: murmur2 (Java's default), crc32 (librdkafka's), none (nobody"
            " knows)."
        ),
    )
    replication_factor: Annotated[int, Field(ge=1, le=32)] = Field(
        default=1, description="Copies of each partition, for the topics that init creates."
    )

    data_dir: Path = Field(default=Path("data"), description="Folder of the worker's local state; one worker each.")
    web_port: Annotated[int, Field(ge=1, le=65_535)] | None = Field(
        default=None, description="Port of the worker's web server, on loopback; unset: none."
    )
    processing_guarantee: ProcessingGuarantee = Field(
        default=ProcessingGuarantee.EXACTLY_ONCE,
        description="exactly_once needs a broker with transactions; at_least_once may export twice after a crash.",
    )
    transaction_timeout_seconds: Annotated[float, Field(ge=1, le=900)] = Field(
        default=60.0,
        description=(
            "Seconds until the broker aborts a transaction left open; at most the broker's transaction.max.timeout.ms."
        ),
    )
    max_document_bytes: Annotated[int, Field(ge=1 * KIB, le=8 * MIB)] = Field(
        default=512 * KIB,
        description="Largest profile document, in bytes of compact JSON; a larger one is a dead letter.",
    )
    max_bad_events_in_a_row: Count = Field(
        default=1000, description="Unusable events in a row, in one partition, that stop the worker; 0: never."
    )
    dedup_window: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=1, description="How many last events a profile remembers by source and id."
    )
    linger_seconds: Annotated[float, Field(ge=0, le=10)] = Field(
        default=0.02, description="Seconds that events wait for others, to be handled as one batch."
    )
    session_timeout_seconds: Annotated[float, Field(ge=1, le=90)] = (
        Field(  # Faust refuses more than its broker_request_timeout, 90
            default=10.0,
            description=(
                "Seconds of silence after which Kafka takes a worker's partitions away; the broker's"
                " group.min.session.timeout.ms is the least."
            ),
        )
    )
    static_membership: bool = Field(
        default=False,
        description=(
            "Keep partitions over a restart within the session timeout; a worker that leaves for good keeps them as"
            " long."
        ),
    )
    broker_wait_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=60.0, description="Seconds that a worker waits for a broker and its topics at its start."
    )
    accept_gaps: Annotated[str, BeforeValidator(normal_acceptance), Field(pattern=GAPS_PATTERN)] = Field(
        default="",
        description=(
            "Gaps to go on without, as a stop named them: topic:partition:offset, separated by commas; true: every one,"
            " now and later."
        ),
    )
    skip_to: Annotated[str, Field(pattern=_SKIPS)] = Field(
        default="",
        description=(
            "Events not to process: partition:offset, more separated by commas; the partition goes on at that offset."
        ),
    )
    standby_replicas: Count = Field(
        default=0,
        description=(
            "Warm copies of each partition on other workers; only 0: a takeover restores over 100,000 rows a second"
            " instead."
        ),
    )
    row_cache_bytes: Annotated[int, Field(ge=0, le=1 * TIB)] = Field(
        default=256 * MIB, description="Bytes of memory for profile rows, per worker."
    )
    max_waiting_bytes: Annotated[int, Field(ge=1 * MIB, le=1 * TIB)] = Field(
        default=64 * MIB, description="Bytes of events read and not yet processed, per worker, at which reading pauses."
    )
    block_cache_bytes: Annotated[int, Field(ge=1 * MIB, le=1 * TIB)] = Field(
        default=128 * MIB, description="Bytes of memory for blocks of the local state, per worker."
    )
    write_buffer_bytes: Annotated[int, Field(ge=1 * MIB, le=64 * GIB)] = Field(  # RocksDB cuts more down to this
        default=32 * MIB, description="Bytes of memory for unwritten state, per partition."
    )

    secrets_key: SecretStr | None = Field(
        default=None,
        description=(
            "Keys for secrets at rest, urlsafe base64 of 32 bytes each, separated by commas; the first one encrypts."
        ),
    )
    secrets_key_file: Path | None = Field(default=None, description="A file that holds them instead.")

    api_token: SecretStr | None = Field(
        default=None, description="Token that callers of the control API must show, for reading and writing."
    )
    api_tokens_file: Path | None = Field(
        default=None, description="YAML file of many tokens instead: a list of name, sha256, role (read or write)."
    )
    api_request_seconds: Annotated[float, Field(ge=1, le=600)] = Field(
        default=30.0,
        description=(
            "Seconds in which a request must have come whole, and each next piece of an upload; then it ends with 408."
        ),
    )
    api_max_connections: Annotated[int, Field(ge=8, le=100_000)] = Field(
        default=500,
        description=(
            "Connections of the control API at a time; beyond it the one that says nothing for longest is closed."
        ),
    )
    api_tls_certificate_file: Path | None = Field(
        default=None, description="PEM file of the control API's certificate."
    )
    api_tls_key_file: Path | None = Field(
        default=None, description="PEM file of that certificate's key, without a passphrase."
    )
    api_allow_plaintext: bool = Field(
        default=False, description="Let the control API be reached without TLS from other machines."
    )
    api_max_body_bytes: Annotated[int, Field(ge=1 * KIB, le=1 * GIB)] = Field(
        default=1 * MIB, description="Largest body of a call of the control API."
    )
    api_max_upload_bytes: Annotated[int, Field(ge=1 * KIB, le=1 * TIB)] = Field(
        default=2048 * MIB, description="Largest CSV file that the control API takes."
    )
    api_max_failures_per_minute: Positive = Field(
        default=20,
        description=(
            "Refused tokens of one address, a minute, after which a wrong one is answered by 429; the right one always"
            " gets in."
        ),
    )

    log_level: LogLevel = Field(default="info", description="The least severe events that are logged.")
    log_format: LogFormat = Field(
        default="auto", description="console, json, or auto: console on a terminal, json otherwise."
    )

    membership_expiry: bool = Field(
        default=True,
        description="Write the events that end memberships at their deadlines; off where somebody else does.",
    )
    identity_index: bool = Field(
        default=True,
        description=(
            "Keep an index of who has which identity, so that files of members may name identities; every worker alike."
        ),
    )
    job_records_per_second: Count = Field(
        default=0,
        description=(
            "Records that a backfill or another job makes, a second over all partitions, at most; 0: as many as it can."
        ),
    )

    kinesis_max_records_per_call: Annotated[int, Field(ge=1, le=500)] = Field(
        default=500, description="Records of one PutRecords call, at most."
    )
    kinesis_max_call_bytes: Annotated[int, Field(ge=1 * KIB, le=10 * MIB)] = Field(
        default=5 * MIB, description="Bytes of one PutRecords call, at most."
    )
    kinesis_max_record_bytes: Annotated[int, Field(ge=1 * KIB, le=10 * MIB)] = Field(
        default=1 * MIB, description="Bytes of one record with its partition key; a larger one is a dead letter."
    )
    kinesis_calls_in_flight: Annotated[int, Field(ge=1, le=64)] = Field(
        default=4, description="PutRecords calls of one destination at a time."
    )
    kinesis_linger_seconds: Annotated[float, Field(ge=0, le=60)] = Field(
        default=0.02, description="Seconds that a PutRecords call which is not full waits for more records."
    )
    kinesis_shard_records_per_second: Count = Field(
        default=1_000,
        description="Records that this worker feeds to a shard, a second, at most; 0: as many as it takes.",
    )
    kinesis_shard_bytes_per_second: Annotated[int, Field(ge=0, le=1 * TIB)] = Field(
        default=1 * MIB,
        description="Bytes that this worker feeds to a shard, a second, at most; 0: as many as it takes.",
    )
    kinesis_connect_timeout_seconds: Seconds = Field(default=5.0, description="Seconds to connect to Kinesis.")
    kinesis_read_timeout_seconds: Seconds = Field(default=10.0, description="Seconds to wait for an answer of Kinesis.")
    kinesis_probe_seconds: Seconds = Field(default=15.0, description="Seconds between two tries of a paused flow.")
    endpoint_hosts: Annotated[str, Field(pattern=_HOSTS), AfterValidator(_hosts_without_ports)] = Field(
        default="",
        description=(
            "Hosts that endpointUrl of a flow may name beside AWS's own, as a.example.com or *.example.com, separated"
            " by commas; empty: any but metadata services, without session tokens."
        ),
    )
    kinesis_max_rejections_in_a_row: Count = Field(
        default=30,
        description=(
            "Profiles whose records are rejected within an hour, without one delivered, that pause a destination as"
            " unusable; 0: never."
        ),
    )
    park_after_seconds: Annotated[float, Field(ge=0.1, le=3600)] = Field(
        default=5.0,
        description=(
            "Seconds that a flow whose destination is unavailable keeps its records in memory; then only `exports`"
            " holds them."
        ),
    )
    max_buffered_records: Positive = Field(
        default=20_000, description="Records that a worker holds for delivery, at most; at the limit it stops reading."
    )
    max_buffered_bytes: Annotated[int, Field(ge=1 * MIB, le=1 * TIB)] = Field(
        default=64 * MIB,
        description=(
            "Their bytes, at most, keys and headers among them; at the limit it stops reading. One record may go beyond"
            " it, and of what is fetched a quarter as much waits."
        ),
    )

    @property
    def topics(self) -> TopicNames:
        """The names of our topics."""
        first = (
            "profile-events",
            "exports",
            "flows",
            "audiences",
            "dead-letters",
            "dead-letters-redriven",
            "worker-status",
        )
        names = (
            *first,
            "delivery-positions",
            "connections",
            "audit-events",
            "job-progress",
            f"{self.app_id}-profiles-changelog",
        )
        return TopicNames(*(self.topic_prefix + name for name in names))

    @property
    def accepted(self) -> AcceptedGaps:
        """The gaps that `accept_gaps` names."""
        return accepted_gaps(self.accept_gaps)

    @property
    def skips(self) -> dict[int, int]:
        """`skip_to`: offset by partition."""
        pairs = (pair.split(":") for pair in self.skip_to.split(",") if pair.strip())
        return {int(partition): int(offset) for partition, offset in pairs}

    @property
    def max_message_bytes(self) -> int:
        """Return the size of the largest Kafka message of ours (key, value, headers).

        It is the limit of producers, and of the topics that `init` makes.

        A dead letter holds a source event whole (at most 1 MiB by Kafka's own default) and its headers; an export holds
        a document and what the flow adds.
        """
        return max(2 * MIB, 2 * self.max_document_bytes + MIB)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        faults = [*self._faults_of_kafka_security(), *self._faults_of_pairs(), *self._faults_of_skips()]
        if self.standby_replicas:
            because = "standby replicas are not built: a takeover restores over 100,000 rows a second"
            faults.append(f"{ENV_PREFIX}STANDBY_REPLICAS={self.standby_replicas}: {because}; leave it at 0")
        if self.kinesis_max_record_bytes > self.kinesis_max_call_bytes:
            faults.append(f"{ENV_PREFIX}KINESIS_MAX_RECORD_BYTES is more than {ENV_PREFIX}KINESIS_MAX_CALL_BYTES")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _faults_of_kafka_security(self) -> Iterator[str]:
        """Yield what is wrong with a login or certificate that the protocol has no use for.

        One client would use it, the others not, and a password go out in clear.
        """
        protocol = f"{env_name('kafka_security_protocol')}={self.kafka_security_protocol}"
        yield from login_faults(self, env_name)
        files = self._set_among(_KAFKA_FILES)
        if files and not self.kafka_security_protocol.endswith("SSL"):
            yield f"{_names(files)}: {protocol} has no TLS; set it to SSL or SASL_SSL, or unset them"

    def _faults_of_pairs(self) -> Iterator[str]:
        for one, other in (
            ("kafka_ssl_certificate_file", "kafka_ssl_key_file"),
            ("api_tls_certificate_file", "api_tls_key_file"),
        ):
            if len(self._set_among((one, other))) == 1:
                yield f"{env_name(one)} and {env_name(other)} go together"
        for one, other in (("secrets_key", "secrets_key_file"), ("api_token", "api_tokens_file")):
            if len(self._set_among((one, other))) == 2:
                yield f"{env_name(one)} and {env_name(other)} exclude each other"

    def _faults_of_skips(self) -> Iterator[str]:
        if len(self.skips) < len([pair for pair in self.skip_to.split(",") if pair.strip()]):
            yield f"{env_name('skip_to')}={self.skip_to}: a partition is named twice"
        if beyond := [partition for partition in self.skips if partition >= self.partitions]:
            yield (
                f"{env_name('skip_to')}={self.skip_to}: there is no partition {beyond[0]}, {env_name('partitions')} is"
                f" {self.partitions}"
            )

    def _set_among(self, fields: Sequence[str]) -> list[str]:
        return [field for field in fields if getattr(self, field) is not None]


_KAFKA_FILES: Final = ("kafka_ssl_ca_file", "kafka_ssl_certificate_file", "kafka_ssl_key_file")


def _names(fields: Sequence[str]) -> str:
    return f"{' and '.join(env_name(field) for field in fields)} {'is' if len(fields) == 1 else 'are'} set"


_SHOWN: Final = re.compile(r"[\w.,:/+-]{0,200}")
"""A wrong value that is told.

Another one may hold a password: of another setting on the same line, or of a user before an address.
"""

_REMEDY: Final = (
    "  set these variables right, in the environment or in .env; docs/reference.md says what each one takes"
)


def env_name(field: str) -> str:
    """The environment variable of a setting."""
    return ENV_PREFIX + field.upper()


def shown(settings: Settings, field: str) -> str:
    """A setting's value as text, a secret masked."""
    value = getattr(settings, field)
    if isinstance(value, SecretStr):
        return MASKED
    text = "" if value is None else str(value)
    address, question, _ = text.partition("?")
    return f"{address}?{MASKED}" if question and "://" in address else text  # a query may hold a secret


def origin_of(field: str, environment: Environment) -> str:
    """Return where a setting comes from: environment, .env, or default. Names of settings are read in any case."""
    wanted = env_name(field)
    origins = [environment.origin_of(name) for name in environment if name.upper() == wanted]
    return OF_THE_ENVIRONMENT if OF_THE_ENVIRONMENT in origins else next(filter(None, origins), "default")


def read_settings() -> Settings:
    """The settings of this process; raises UsageError naming every wrong variable, its value and what is allowed."""
    try:
        return Settings()
    except ValidationError as error:
        faults = (_fault(fault["loc"], fault) for fault in error.errors())
        raise UsageError("\n".join(["wrong settings:", *faults, _REMEDY])) from None


class _LogForm(_FromEnvironment):
    """The form of logs alone, for a process whose other settings are wrong."""

    log_format: LogFormat = "auto"


def read_log_format() -> LogFormat:
    """Read how logs are written, whatever else is wrong; "auto" where that is wrong itself."""
    try:
        return _LogForm().log_format
    except (ValidationError, UsageError):
        return "auto"


def _fault(place: tuple[int | str, ...], fault: object) -> str:
    assert isinstance(fault, dict)
    text = str(fault["msg"]).removeprefix("Value error, ")
    if not place:
        return f"  {text}"
    name = re.sub(f"^{ENV_PREFIX}", "", str(place[0]).upper()).lower()
    field = Settings.model_fields.get(name)
    is_secret = field is not None and field.annotation == SecretStr | None
    value = MASKED if is_secret or not _SHOWN.fullmatch(str(fault["input"])) else repr(fault["input"])
    allowed = f" ({field.description})" if field is not None else ""
    return f"  {env_name(name)}={value}: {text}{allowed}"
