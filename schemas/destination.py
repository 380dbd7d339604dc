"""Where a flow delivers: an Amazon Kinesis stream, and how to be let in (contract G7).

Who may change a flow chooses the endpoint, and the worker sends there what a reference `${ENV_NAME}` stands for: an access key id in
clear, a secret as a signature, which can be guessed at. So a reference names what is meant for that, and nothing else of the environment.
Which addresses may be named at all, and that no session token is sent just anywhere, is decided where it is sent (processor/delivery/endpoints.py).
"""

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo

from schemas.model import STORED, Model, Name

ENCRYPTED: Final = "encrypted:"
REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_OF_IDS: Final = "ACCESS_KEY_ID"
_OUR_SETTINGS: Final = "PROFILE_EXPORTER_"
_PLAIN_ADDRESS: Final = re.compile(r"[!-\[\]-~]+")  # ASCII that is seen, without the backslash
_HOST_AND_PORT: Final = re.compile(r"(\[[^\[\]@]+\]|[^\[\]:@]+)(:[0-9]*)?")


def _no_setting_of_ours(text: str) -> str:
    reference = REFERENCE.fullmatch(text)
    if reference is not None and reference[1].startswith(_OUR_SETTINGS):
        raise ValueError(f"{reference[1]} is a setting of profile-exporter and no secret of a destination: name another variable")
    return text


def _sendable_in_clear(text: str) -> str:
    reference = REFERENCE.fullmatch(text)
    if reference is not None and not reference[1].endswith(_OF_IDS):
        raise ValueError(f"an access key id is sent in clear: write it here, or name a variable that ends in {_OF_IDS}, not {reference[1]}")
    return _no_setting_of_ours(text)


StoredSecret = Annotated[
    str, Field(pattern=rf"^({REFERENCE.pattern}|{ENCRYPTED}[A-Za-z0-9_=-]+)$", repr=False), AfterValidator(_no_setting_of_ours)
]
"""`${ENV_NAME}`: the worker reads the secret from its own environment; it never stands in a file or on a topic.

Or `encrypted:` and what the keys of the installation open (processor/secrets.py), as the control API stores it.
"""
AccessKeyId = Annotated[Name, AfterValidator(_sendable_in_clear)]
"""As it is, or `${…ACCESS_KEY_ID}`: so a pair of keys can be rotated in files."""


class DefaultCredentials(Model):
    """boto3's default chain."""

    type: Literal["default"] = "default"


class KeyCredentials(Model):
    """An access key; the secret is a reference or encrypted, the id may be a reference."""

    type: Literal["keys"]
    access_key_id: AccessKeyId
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


def is_http_url(text: str, info: ValidationInfo) -> str:
    """The text, if it is such an address; raises ValueError. One that is stored already is judged where it is called (processor/delivery)."""
    scheme, _, rest = text.partition("://")
    if scheme not in ("http", "https") or not rest.strip("/"):
        raise ValueError("is not an http:// or https:// address")
    if info.context != STORED:
        require_one_host(text)
    return text


def require_one_host(url: str) -> str:
    """Give the host of an address, in lower case; raise ValueError where it has none, or where programs read different hosts out of it."""
    if _PLAIN_ADDRESS.fullmatch(url) is None:
        raise ValueError("holds a backslash, a blank, a control character or a letter beyond ASCII: write the address without")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is no address: its host or its port cannot be read") from None
    if "@" in parts.netloc:
        raise ValueError("names a user before its host: leave that out, and name keys in credentials")
    if not host or _HOST_AND_PORT.fullmatch(parts.netloc) is None:
        raise ValueError("is no address: after // stands no plain host, with or without a port")
    return host


class Destination(Model):
    """A stream in a region, or behind another endpoint."""

    type: Literal["kinesis"]
    stream: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
    region: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=63)]
    endpoint_url: Annotated[str, AfterValidator(is_http_url)] | None = None
    credentials: Credentials = DefaultCredentials()
