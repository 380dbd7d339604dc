"""Settings as the two Kafka clients take them: librdkafka's properties, aiokafka's arguments.

`partitioner` and isolation level belong to every producer and reader of ours: they are here, so that nobody forgets
them.
"""

import logging
import ssl
import time
from pathlib import Path
from typing import Any, Final

from processor.foundation.login_fields import OAUTHBEARER, extensions_of
from processor.foundation.settings import Settings
from processor.kafka.errors import NoTokenForKafka, SettingsRefused
from processor.login.of_settings import has_token_login, tokens_of
from processor.login.token import TokenUnavailable
from schemas.partitioner import Partitioner

PARTITIONERS: Final = {
    Partitioner.MURMUR2: "murmur2_random",  # the Java client's: murmur2 of the key, records without a key anywhere
    Partitioner.CRC32: "consistent_random",  # librdkafka's own
    Partitioner.NONE: (
        "murmur2_random"
    ),  # of what has no place: whoever writes events names the partition (profile_partitions.py)
}
_log = logging.getLogger("librdkafka")
_CRITICAL: Final = 2  # syslog: librdkafka's own lines would stand beside our errors, which say the same

Properties = dict[str, str | int | float | bool]
_ASKS_AGAIN_AT: Final = 0.8  # librdkafka: of the lifetime that it was told
_MOST_TOLD_SECONDS: Final = 86_400.0
_LATE_SECONDS: Final = 1.0  # librdkafka looks once a second


def confluent_config(settings: Settings) -> Properties:
    """Return librdkafka's properties to reach the broker; the same for admin, producer and consumer.

    With a token login the first token is there when this returns; making a client takes a second more, in which its
    thread asks for it (confluent_kafka looks once a second). Raises NoTokenForKafka, and UsageError for a file of
    authorities that cannot be read.
    """
    properties: Properties = {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "security.protocol": settings.kafka_security_protocol,
        "client.id": settings.app_id,
        "log_level": _CRITICAL,
        # The client's types leave it out; its lines would go to stderr, past our logs.
        "logger": _log,  # type: ignore[dict-item]
    }
    password = settings.kafka_sasl_password
    optional = {
        "sasl.mechanism": settings.kafka_sasl_mechanism,
        "sasl.username": settings.kafka_sasl_username,
        "sasl.password": None if password is None else password.get_secret_value(),
        "ssl.ca.location": _text(settings.kafka_ssl_ca_file),
        "ssl.certificate.location": _text(settings.kafka_ssl_certificate_file),
        "ssl.key.location": _text(settings.kafka_ssl_key_file),
    }
    given = {name: value for name, value in optional.items() if value is not None}
    return properties | given | (_token_login(settings) if has_token_login(settings) else {})


def _token_login(settings: Settings) -> Properties:
    tokens, extensions = tokens_of(settings), dict(extensions_of(settings.kafka_oauth_extensions))
    try:
        tokens.get()  # in words, and at once: the client would only say, after ten seconds, that there was none
    except TokenUnavailable as unavailable:
        raise NoTokenForKafka(unavailable) from None

    def give(_: str) -> tuple[str, float, str, dict[str, str]]:
        """Give the client's thread a token.

        The client asks at the beginning and before the token ends; after an error again in ten seconds.
        """
        held = tokens.get()
        told = min(
            tokens.seconds_to_next_question(held) / _ASKS_AGAIN_AT + _LATE_SECONDS,
            tokens.seconds_left(held),
            _MOST_TOLD_SECONDS,
        )
        return held.text, time.time() + told, "", extensions

    # The client's types leave the callback out.
    return {"sasl.mechanism": OAUTHBEARER, "oauth_cb": give}  # type: ignore[dict-item]


def producer_config(settings: Settings) -> Properties:
    """Return the properties of a producer whose acknowledged records are on every replica, once and in order."""
    return confluent_config(settings) | {
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": PARTITIONERS[settings.partitioner],
        "message.max.bytes": settings.max_message_bytes,
        "compression.type": "lz4",
        "linger.ms": 5,
    }


def transactional_config(settings: Settings, purpose: str, seconds: float) -> Properties:
    """Return what makes a producer transactional.

    These are the id of this installation for a purpose, and how long its transactions may stay open.
    """
    return {"transactional.id": f"{settings.app_id}-{purpose}", "transaction.timeout.ms": int(seconds * 1000)}


def consumer_config(settings: Settings, group: str) -> Properties:
    """Return the properties of a reader of assigned partitions that commits nothing and reads what is committed."""
    return confluent_config(settings) | {
        "group.id": group,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",  # what a log loses while it is read is told, never jumped over
        "allow.auto.create.topics": False,
        "fetch.wait.max.ms": 50,  # what is to be read is there already; an empty partition must not hold up the others
    }


def aiokafka_options(settings: Settings) -> dict[str, Any]:
    """Return the arguments of every aiokafka client; raises SettingsRefused for unreadable certificate files."""
    options: dict[str, Any] = {
        "bootstrap_servers": [address.strip() for address in settings.kafka_bootstrap_servers.split(",")],
        "security_protocol": settings.kafka_security_protocol,
        "client_id": settings.app_id,
        "ssl_context": ssl_context(settings),
    }
    if has_token_login(settings):
        # Commands need no aiokafka to reach the broker.
        from processor.kafka.token_provider import token_provider  # noqa: PLC0415

        return options | {"sasl_mechanism": OAUTHBEARER, "sasl_oauth_token_provider": token_provider(settings)}
    if settings.kafka_sasl_mechanism is not None:
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
    if settings.kafka_sasl_username is not None and settings.kafka_sasl_password is not None:
        options["sasl_plain_username"] = settings.kafka_sasl_username
        options["sasl_plain_password"] = settings.kafka_sasl_password.get_secret_value()
    return options


def ssl_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS side of the settings, None where the protocol has none.

    Raises SettingsRefused for certificate files that cannot be read.
    """
    if settings.kafka_security_protocol not in ("SSL", "SASL_SSL"):
        return None
    ca, certificate, key = settings.kafka_ssl_ca_file, settings.kafka_ssl_certificate_file, settings.kafka_ssl_key_file
    try:
        context = ssl.create_default_context(cafile=_text(ca))
        if certificate is not None and key is not None:
            context.load_cert_chain(certificate, key, password="")  # without a text OpenSSL asks the terminal
    except (OSError, ssl.SSLError) as error:
        raise SettingsRefused(
            f"{error} ({', '.join(str(path) for path in (ca, certificate, key) if path is not None)})"
        ) from None
    return context


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
