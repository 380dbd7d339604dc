"""The destination of a flow: an Amazon Kinesis stream, and how a worker is authorized there (G7).

Who may change a flow chooses the endpoint, and the worker sends there what a reference `${ENV_NAME}` stands for: an
access key id in clear, a secret as a signature, which can be guessed at. So a reference names what is meant for that,
and nothing else of the environment. Which addresses may be named at all, and that no session token is sent just
anywhere, is decided where it is sent (processor/delivery/kinesis/endpoints.py).
"""

import re
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from schemas.model import STORED, Model, Name
from schemas.stream_arn import STREAM_NAME, StreamArn, fault_of_endpoint, read_stream_arn

ENCRYPTED: Final = "encrypted:"
MASKED: Final = "**********"
"""A secret as it is shown; written back, it stands for the secret that is there."""
SECRET_NAMES: Final = frozenset({"secretKey", "secret_key"})
REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_OF_IDS: Final = "ACCESS_KEY_ID"
_OUR_SETTINGS: Final = "PROFILE_EXPORTER_"
_PLAIN_ADDRESS: Final = re.compile(r"[!-\[\]-~]+")  # ASCII that is seen, without the backslash
_HOST_AND_PORT: Final = re.compile(r"(\[[^\[\]@]+\]|[^\[\]:@]+)(:[0-9]*)?")


def _no_setting_of_ours(text: str) -> str:
    reference = REFERENCE.fullmatch(text)
    if reference is not None and reference[1].upper().startswith(_OUR_SETTINGS):  # settings are read in any case
        raise ValueError(
            f"{reference[1]} is a setting of profile-exporter and no secret of a destination: name another variable"
        )
    return text


def _sendable_in_clear(text: str) -> str:
    reference = REFERENCE.fullmatch(text)
    if reference is not None and not reference[1].endswith(_OF_IDS):
        raise ValueError(
            f"an access key id is sent in clear: write it here, or name a variable that ends in {_OF_IDS}, not"
            f" {reference[1]}"
        )
    return _no_setting_of_ours(text)


StoredSecret = Annotated[
    str,
    Field(pattern=rf"^({REFERENCE.pattern}|{ENCRYPTED}[A-Za-z0-9_=-]+)$", repr=False),
    AfterValidator(_no_setting_of_ours),
]
"""`${ENV_NAME}`: the worker reads the secret from its own environment; it never stands in a file or on a topic.

Or `encrypted:` and what the keys of the installation open (processor/foundation/secrets.py), as the control API
stores it.
"""
AccessKeyId = Annotated[Name, AfterValidator(_sendable_in_clear)]
"""As it is, or `${…ACCESS_KEY_ID}`: so a pair of keys can be rotated in files."""


class DefaultCredentials(Model):
    """Credentials that boto3's default chain finds."""

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


def _no_arn(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("arn:"):
        raise ValueError("is an ARN, and no name: write it as streamArn")
    return value


StreamName = Annotated[str, BeforeValidator(_no_arn), Field(pattern=STREAM_NAME)]

Credentials = Annotated[
    DefaultCredentials | KeyCredentials | ProfileCredentials | RoleCredentials,
    Field(discriminator="type"),
]


def is_http_url(text: str, info: ValidationInfo) -> str:
    """Return the text, if it is such an address; raises ValueError.

    One that is stored already is judged where it is called (processor/delivery).
    """
    scheme, _, rest = text.partition("://")
    if scheme not in ("http", "https") or not rest.strip("/"):
        raise ValueError("is not an http:// or https:// address")
    if info.context != STORED:
        require_one_host(text)
    return text


def require_one_host(url: str) -> str:
    """Return the host of an address, in lower case.

    Raises ValueError where it has none, or where programs read different hosts out of it.
    """
    if _PLAIN_ADDRESS.fullmatch(url) is None:
        raise ValueError(
            "holds a backslash, a blank, a control character or a letter beyond ASCII: write the address without"
        )
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


def with_place_of_arn(value: Any) -> Any:
    """Return the fields of a destination, with the stream's name and region where its ARN says them alone (G10)."""
    text = value.get("streamArn") if isinstance(value, dict) else None
    if not isinstance(text, str):
        return value
    try:
        arn = read_stream_arn(text)
    except ValueError:
        arn = StreamArn(
            "aws", "unknown", "", "unknown"
        )  # the fault is told where the ARN stands, and no other for what it does not say
    return {"stream": arn.stream, "region": arn.region} | value


class Destination(Model):
    """A stream in a region, or behind another endpoint. With `stream_arn` it may be another account's."""

    type: Literal["kinesis"]
    stream: StreamName
    region: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=63)]
    stream_arn: str | None = None
    endpoint_url: Annotated[str, AfterValidator(is_http_url)] | None = None
    credentials: Credentials = DefaultCredentials()

    @model_validator(mode="before")
    @classmethod
    def _place_of_arn(cls, value: Any) -> Any:
        return with_place_of_arn(value)

    @field_validator("stream_arn")
    @classmethod
    def _agrees(cls, text: str | None, info: ValidationInfo) -> str | None:
        if text is not None:
            arn = read_stream_arn(text)
            named = (("stream", arn.stream), ("region", arn.region))
            if differing := [
                f"{name} {said}, and {name} says {info.data[name]}"
                for name, said in named
                if info.data.get(name, said) != said
            ]:
                raise ValueError(
                    f"names the {'; the '.join(differing)}: leave out what the ARN says, or let the two agree"
                )
        return text

    @field_validator("endpoint_url")
    @classmethod
    def _is_of_the_stream(cls, url: str | None, info: ValidationInfo) -> str | None:
        text = info.data.get("stream_arn")
        if (
            url is not None
            and text is not None
            and (fault := fault_of_endpoint(read_stream_arn(text), url)) is not None
        ):
            raise ValueError(fault)
        return url

    @property
    def named(self) -> dict[str, str]:
        """Return the arguments by which a call of Kinesis names the stream."""
        return {"StreamName": self.stream} if self.stream_arn is None else {"StreamARN": self.stream_arn}

    @property
    def references(self) -> list[str]:
        """Return the names of variables that the credentials refer to."""
        said = self.credentials
        texts = (said.access_key_id, said.secret_key) if isinstance(said, KeyCredentials) else ()
        return [reference[1] for text in texts if (reference := REFERENCE.fullmatch(text)) is not None]

    @property
    def account(self) -> str | None:
        """Return the account that the stream's ARN names; None: that of the credentials."""
        return None if self.stream_arn is None else read_stream_arn(self.stream_arn).account

    @property
    def in_words(self) -> str:
        """Describe the destination for people: stream, account where it may be another's, region, endpoint."""
        behind = f" at {self.endpoint_url}" if self.endpoint_url is not None else ""
        of = f" of account {self.account}" if self.account is not None else ""
        return f"stream {self.stream}{of} in {self.region}{behind}"


def mask_secrets(value: Any) -> Any:
    """Return `value` with every secret in it hidden, also an encrypted one; a reference to the environment is none."""
    if isinstance(value, dict):
        return {
            name: _mask_secret(inner) if name in SECRET_NAMES else mask_secrets(inner) for name, inner in value.items()
        }
    return [mask_secrets(inner) for inner in value] if isinstance(value, list) else value


def _mask_secret(secret: Any) -> Any:
    return secret if isinstance(secret, str) and secret.startswith("${") else MASKED
