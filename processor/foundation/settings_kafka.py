"""The settings of the way to Kafka: addresses, TLS and the login; and what contradicts each other among them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr

from processor.foundation.login_fields import AWS_REGION, AWS_ROLE, login_faults
from processor.foundation.settings_environment import FromEnvironment, are_set, env_name

_PORT: Final = r"(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
_HOST: Final = (  # no scheme, user or path: each client would read another address out of them
    r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])"
)
_ADDRESSES: Final = rf"^{_HOST}:{_PORT}(\s*,\s*{_HOST}:{_PORT})*$"
_EXTENSIONS: Final = r"^[A-Za-z]+=[!-+\--~]+(\s*,\s*[A-Za-z]+=[!-+\--~]+)*$"  # RFC 7628, section 3.1; no commas
_ROLE_SESSION: Final = r"^[A-Za-z0-9_+=,.@-]{2,64}$"  # as STS takes it

KafkaSecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM"]
_KAFKA_FILES: Final = ("kafka_ssl_ca_file", "kafka_ssl_certificate_file", "kafka_ssl_key_file")


class KafkaSettings(FromEnvironment):
    """The settings of how to reach Kafka, and to log in there."""

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

    def faults_of_kafka_security(self) -> Iterator[str]:
        """Yield each login or certificate that the protocol has no use for.

        One client would use it, the others not, and a password go out in clear.
        """
        protocol = f"{env_name('kafka_security_protocol')}={self.kafka_security_protocol}"
        yield from login_faults(self)
        files = self.set_among(_KAFKA_FILES)
        if files and not self.kafka_security_protocol.endswith("SSL"):
            yield f"{are_set(files)}: {protocol} has no TLS; set it to SSL or SASL_SSL, or unset them"
