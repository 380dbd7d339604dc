"""Where a flow delivers: an Amazon Kinesis stream, and how to be let in (contract G7)."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from schemas.model import Model, Name

ENCRYPTED: Final = "encrypted:"
StoredSecret = Annotated[str, Field(pattern=r"^(\$\{[A-Za-z_][A-Za-z0-9_]*\}|encrypted:[A-Za-z0-9_=-]+)$", repr=False)]
"""`${ENV_NAME}`: the worker reads the secret from its own environment; it never stands in a file or on a topic.

Or `encrypted:` and what the keys of the installation open (processor/secrets.py), as the control API stores it.
"""


class DefaultCredentials(Model):
    """boto3's default chain."""

    type: Literal["default"] = "default"


class KeyCredentials(Model):
    """An access key; the secret is a reference or encrypted, the id may be a reference."""

    type: Literal["keys"]
    access_key_id: Name
    secret_key: StoredSecret


class ProfileCredentials(Model):
    """A named profile of the AWS configuration files."""

    type: Literal["profile"]
    name: Name


class RoleCredentials(Model):
    """A role to assume, from the default chain."""

    type: Literal["role"]
    arn: Annotated[str, Field(pattern=r"^arn:[a-z0-9-]+:iam::[0-9]{12}:role/.+$")]
    external_id: Name | None = None


Credentials = Annotated[
    DefaultCredentials | KeyCredentials | ProfileCredentials | RoleCredentials,
    Field(discriminator="type"),
]


def is_http_url(text: str) -> str:
    """The text, if it is such an address; raises ValueError."""
    scheme, _, rest = text.partition("://")
    if scheme not in ("http", "https") or not rest.strip("/"):
        raise ValueError("is not an http:// or https:// address")
    return text


class Destination(Model):
    """A stream in a region, or behind another endpoint."""

    type: Literal["kinesis"]
    stream: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
    region: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=63)]
    endpoint_url: Annotated[str, AfterValidator(is_http_url)] | None = None
    credentials: Credentials = DefaultCredentials()
