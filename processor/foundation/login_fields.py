"""The settings that a login to Kafka takes, by mechanism, and what contradicts each other among them."""

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Final, Protocol
from urllib.parse import urlsplit

from processor.foundation.settings_environment import are_set, env_name

AWS_REGION: Final = r"^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$"
AWS_ROLE: Final = r"^arn:[a-z0-9-]+:iam::[0-9]{12}:role/.+$"
OAUTHBEARER: Final = "OAUTHBEARER"
AWS_MSK_IAM: Final = "AWS_MSK_IAM"
TOKEN_MECHANISMS: Final = frozenset({OAUTHBEARER, AWS_MSK_IAM})
"""Both are OAUTHBEARER to Kafka."""

_PASSWORD: Final = ("kafka_sasl_username", "kafka_sasl_password")
_ENDPOINT: Final = ("kafka_oauth_token_url", "kafka_oauth_client_id", "kafka_oauth_client_secret")
_FOR_ENDPOINT: Final = (
    "kafka_oauth_client_id",
    "kafka_oauth_client_secret",
    "kafka_oauth_scope",
    "kafka_oauth_ca_file",
)
_OAUTH: Final = ("kafka_oauth_token_url", *_FOR_ENDPOINT, "kafka_oauth_token_file", "kafka_oauth_extensions")
_FOR_ROLE: Final = ("kafka_aws_external_id", "kafka_aws_role_session_name")
_AWS: Final = ("kafka_aws_region", "kafka_aws_profile", "kafka_aws_role_arn", *_FOR_ROLE)
_MECHANISMS_OF: Final = {
    _PASSWORD: ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
    _OAUTH: (OAUTHBEARER,),
    _AWS: (AWS_MSK_IAM,),
}
_RESERVED: Final = "auth"  # RFC 7628, section 3.1: where the token stands


class LoginSettings(Protocol):
    """The settings of a login that are compared with each other here; of the others only whether they are set."""

    @property
    def kafka_security_protocol(self) -> str:
        """Return the protocol that is spoken with Kafka."""
        ...

    @property
    def kafka_sasl_mechanism(self) -> str | None:
        """Return the mechanism of the login, where the protocol has one."""
        ...

    @property
    def kafka_oauth_token_url(self) -> str | None:
        """The endpoint that makes tokens."""
        ...

    @property
    def kafka_oauth_token_file(self) -> object:
        """The file with a token."""
        ...

    @property
    def kafka_oauth_ca_file(self) -> object:
        """Return the file of who vouches for the endpoint."""
        ...

    @property
    def kafka_oauth_extensions(self) -> str | None:
        """Return what Kafka wants beside the token."""
        ...

    @property
    def kafka_aws_role_arn(self) -> str | None:
        """The role to assume."""
        ...


def login_faults(settings: LoginSettings) -> Iterator[str]:
    """Yield what is missing, too much, or of another mechanism, with what to do; no value of a secret is in it."""
    faults = _LoginFaults(settings)
    if not settings.kafka_security_protocol.startswith("SASL_"):
        yield from faults.without_login()
    elif settings.kafka_sasl_mechanism is None:
        yield from faults.without_mechanism()
    else:
        yield from faults.of_other_mechanisms()
        yield from faults.of_mechanism(settings.kafka_sasl_mechanism)


class _LoginFaults:
    def __init__(self, settings: LoginSettings) -> None:
        self._settings = settings
        self._protocol = f"{env_name('kafka_security_protocol')}={settings.kafka_security_protocol}"
        self._mechanism = f"{env_name('kafka_sasl_mechanism')}={settings.kafka_sasl_mechanism}"

    def without_login(self) -> Iterator[str]:
        if set_ones := self._set_among(("kafka_sasl_mechanism", *_PASSWORD, *_OAUTH, *_AWS)):
            yield (
                f"{are_set(set_ones)}: {self._protocol} does not log in; set it to SASL_SSL or SASL_PLAINTEXT, or"
                " unset them"
            )

    def without_mechanism(self) -> Iterator[str]:
        yield f"{env_name('kafka_sasl_mechanism')} is missing: {self._protocol} logs in"
        if not self._set_among((*_OAUTH, *_AWS)):
            yield from self._missing(_PASSWORD, f"{self._protocol} logs in")

    def of_other_mechanisms(self) -> Iterator[str]:
        for fields, mechanisms in _MECHANISMS_OF.items():
            set_ones = self._set_among(fields)
            if set_ones and self._settings.kafka_sasl_mechanism not in mechanisms:
                yield (
                    f"{are_set(set_ones)}: {self._mechanism} does not use that; unset it, or set"
                    f" {' or '.join(mechanisms)}"
                )

    def of_mechanism(self, mechanism: str) -> Iterator[str]:
        if mechanism == OAUTHBEARER:
            yield from self._of_oauth()
        elif mechanism == AWS_MSK_IAM:
            yield from self._of_aws()
        else:
            yield from self._missing(_PASSWORD, f"{self._protocol} logs in")

    def _of_oauth(self) -> Iterator[str]:
        url, file = self._settings.kafka_oauth_token_url, self._settings.kafka_oauth_token_file
        if url is not None and file is not None:
            yield f"{env_name('kafka_oauth_token_url')} and {env_name('kafka_oauth_token_file')} exclude each other"
        elif file is not None:
            if too_much := self._set_among(_FOR_ENDPOINT):
                yield (
                    f"{are_set(too_much)}: they are for a token endpoint, and"
                    f" {env_name('kafka_oauth_token_file')} is set; unset them"
                )
        elif url is None and not self._set_among(_FOR_ENDPOINT):
            yield (
                f"{env_name('kafka_oauth_token_url')} or {env_name('kafka_oauth_token_file')} is missing:"
                f" {self._mechanism} needs a token"
            )
        else:
            yield from self._missing(_ENDPOINT, f"{self._mechanism} asks a token endpoint")
        if url is not None:
            yield from self._of_url(url)
        if any(name == _RESERVED for name, _ in extensions_of(self._settings.kafka_oauth_extensions)):
            yield f"{env_name('kafka_oauth_extensions')}: the name {_RESERVED} is the token's own; leave it out"

    def _of_url(self, url: str) -> Iterator[str]:
        """The address is not repeated: somebody may have written a password into it."""
        name = env_name("kafka_oauth_token_url")
        if (fault := url_fault(url)) is not None:
            yield f"{name} {fault}"
        elif is_plain_http(url) and self._settings.kafka_oauth_ca_file is not None:
            yield (
                f"{env_name('kafka_oauth_ca_file')} is set: {name} has no TLS; set an https address, or unset the file"
            )

    def _of_aws(self) -> Iterator[str]:
        yield from self._missing(("kafka_aws_region",), f"{self._mechanism} signs for a region")
        if self._settings.kafka_security_protocol != "SASL_SSL":
            yield f"{self._protocol}: {self._mechanism} logs in over TLS alone; set SASL_SSL"
        if self._settings.kafka_aws_role_arn is None and (for_role := self._set_among(_FOR_ROLE)):
            yield (f"{are_set(for_role)}: they are for a role; set {env_name('kafka_aws_role_arn')}, or unset them")

    def _missing(self, fields: Sequence[str], why: str) -> Iterator[str]:
        set_ones = self._set_among(fields)
        yield from (f"{env_name(field)} is missing: {why}" for field in fields if field not in set_ones)

    def _set_among(self, fields: Sequence[str]) -> list[str]:
        return [field for field in fields if getattr(self._settings, field) is not None]


def url_fault(url: str) -> str | None:
    """Return what is wrong with the address of a token endpoint, as the end of a sentence; None: nothing.

    A secret goes there.
    """
    # Schemas come with it, and few settings need them.
    from schemas.destination import require_one_host  # noqa: PLC0415

    try:
        parts = urlsplit(url)
        if "@" in parts.netloc:
            return "names a user before its host: leave that out, and set the client's id and secret"
        host = require_one_host(url)
    except ValueError as error:
        return str(error)
    if parts.fragment:
        return "ends in a fragment (#…), which no endpoint gets: leave that out"
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)):
        return None
    return (
        "is no https:// address: a secret goes there, so http:// is for this machine alone (127.0.0.1, ::1, localhost)"
    )


def is_plain_http(url: str) -> bool:
    """Return whether the endpoint is asked without TLS: on this machine."""
    return urlsplit(url).scheme == "http"


def extensions_of(text: str | None) -> list[tuple[str, str]]:
    """Names and values of SASL extensions, as the setting says them."""
    pairs = ((name, value) for name, _, value in (pair.strip().partition("=") for pair in (text or "").split(",")))
    return [(name, value) for name, value in pairs if name]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
