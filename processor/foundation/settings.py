"""All settings, each group of them in a module of its own; checked together, and never changed.

    settings_environment   how they are read      settings_kafka        the way to Kafka
    settings_processing    installation, workers  settings_delivery     Kinesis
    settings_api           secrets, control API   settings_log          logs

Composition roots read them; everything else receives what it needs.
"""

import re
from collections.abc import Iterator
from typing import Final, Self

from pydantic import SecretStr, ValidationError, model_validator

from processor.foundation.errors import UsageError
from processor.foundation.settings_api import ApiSettings
from processor.foundation.settings_delivery import DeliverySettings
from processor.foundation.settings_environment import ENV_PREFIX, env_name
from processor.foundation.settings_kafka import KafkaSettings
from processor.foundation.settings_log import LogSettings
from processor.foundation.settings_processing import BackgroundSettings, WorkerSettings
from schemas.destination import MASKED

_SHOWN: Final = re.compile(r"[\w.,:/+-]{0,200}")
"""A wrong value that is told.

Another one may hold a password: of another setting on the same line, or of a user before an address.
"""

_REMEDY: Final = (
    "  set these variables right, in the environment or in .env; docs/reference.md says what each one takes"
)


class Settings(DeliverySettings, BackgroundSettings, LogSettings, ApiSettings, WorkerSettings, KafkaSettings):
    """Every setting of the product; each has a default, a unit where it measures something, and bounds.

    The groups stand in the order of docs/reference.md, from behind.
    """

    @model_validator(mode="after")
    def _agree(self) -> Self:
        faults = [*self.faults_of_kafka_security(), *self._faults_of_pairs(), *self._faults_of_skips()]
        if self.standby_replicas:
            because = "standby replicas are not built: a takeover restores over 100,000 rows a second"
            faults.append(f"{ENV_PREFIX}STANDBY_REPLICAS={self.standby_replicas}: {because}; leave it at 0")
        if self.kinesis_max_record_bytes > self.kinesis_max_call_bytes:
            faults.append(f"{ENV_PREFIX}KINESIS_MAX_RECORD_BYTES is more than {ENV_PREFIX}KINESIS_MAX_CALL_BYTES")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _faults_of_pairs(self) -> Iterator[str]:
        for one, other in (
            ("kafka_ssl_certificate_file", "kafka_ssl_key_file"),
            ("api_tls_certificate_file", "api_tls_key_file"),
        ):
            if len(self.set_among((one, other))) == 1:
                yield f"{env_name(one)} and {env_name(other)} go together"
        for one, other in (("secrets_key", "secrets_key_file"), ("api_token", "api_tokens_file")):
            if len(self.set_among((one, other))) == 2:
                yield f"{env_name(one)} and {env_name(other)} exclude each other"

    def _faults_of_skips(self) -> Iterator[str]:
        if len(self.skips) < len([pair for pair in self.skip_to.split(",") if pair.strip()]):
            yield f"{env_name('skip_to')}={self.skip_to}: a partition is named twice"
        if beyond := [partition for partition in self.skips if partition >= self.partitions]:
            yield (
                f"{env_name('skip_to')}={self.skip_to}: there is no partition {beyond[0]}, {env_name('partitions')} is"
                f" {self.partitions}"
            )


def shown(settings: Settings, field: str) -> str:
    """A setting's value as text, a secret masked."""
    value = getattr(settings, field)
    if isinstance(value, SecretStr):
        return MASKED
    text = "" if value is None else str(value)
    address, question, _ = text.partition("?")
    return f"{address}?{MASKED}" if question and "://" in address else text  # a query may hold a secret


def read_settings() -> Settings:
    """The settings of this process; raises UsageError naming every wrong variable, its value and what is allowed."""
    try:
        return Settings()
    except ValidationError as error:
        faults = (_fault(fault["loc"], fault) for fault in error.errors())
        raise UsageError("\n".join(["wrong settings:", *faults, _REMEDY])) from None


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
