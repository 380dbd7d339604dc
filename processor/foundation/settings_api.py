"""The settings of secrets at rest, and of the control API: who gets in, and how much."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from processor.foundation.settings_environment import FromEnvironment, Positive
from processor.foundation.sizes import GIB, KIB, MIB, TIB


class ApiSettings(FromEnvironment):
    """The keys of secrets, and how the control API is served."""

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
