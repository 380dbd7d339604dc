"""A boto3 session that is let in as the destination says (contract G7). Secrets pass through; they are never logged or put into errors."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import boto3
import botocore.session
from botocore.credentials import AssumeRoleCredentialFetcher, CredentialProvider, CredentialResolver, DeferredRefreshableCredentials
from botocore.exceptions import NoCredentialsError, ProfileNotFound

from processor.delivery.answers import DestinationUnusable, PauseReason
from schemas.destination import Destination, KeyCredentials, ProfileCredentials, RoleCredentials

_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_ROLE_SESSION: Final = "profile-exporter"  # shows in CloudTrail


def open_session(destination: Destination, environ: Mapping[str, str]) -> boto3.Session:
    """A session of its own for the destination; raises DestinationUnusable. References `${NAME}` are looked up in `environ`."""
    credentials, region = destination.credentials, destination.region
    match credentials:
        case KeyCredentials():
            return boto3.Session(
                aws_access_key_id=resolve(credentials.access_key_id, environ),
                aws_secret_access_key=resolve(credentials.secret_key, environ),
                region_name=region,
            )
        case ProfileCredentials():
            return _profile_session(credentials.name, region)
        case RoleCredentials():
            return _role_session(credentials, region)
        case _:
            return boto3.Session(region_name=region)


def resolve(text: str, environ: Mapping[str, str]) -> str:
    """The value that a reference `${NAME}` stands for, any other text as it is; raises DestinationUnusable."""
    reference = _REFERENCE.fullmatch(text)
    if reference is None:
        return text
    value = environ.get(reference[1])
    if not value:
        raise DestinationUnusable(PauseReason.CREDENTIALS_MISSING, f"{reference[1]} is not set in the worker's environment")
    return value


def _profile_session(name: str, region: str) -> boto3.Session:
    try:
        return boto3.Session(profile_name=name, region_name=region)
    except ProfileNotFound:
        raise DestinationUnusable(PauseReason.CREDENTIALS_MISSING, f"the AWS configuration files have no profile {name}") from None


def _role_session(role: RoleCredentials, region: str) -> boto3.Session:
    """Assumes the role when first needed, and again before the credentials expire, as botocore does for roles of a profile."""
    core = botocore.session.get_session()
    source = core.get_credentials()
    if source is None:
        raise NoCredentialsError
    extra = {"RoleSessionName": _ROLE_SESSION} | ({} if role.external_id is None else {"ExternalId": role.external_id})
    fetcher = AssumeRoleCredentialFetcher(partial(core.create_client, region_name=region), source, role.arn, extra_args=extra)
    assumed = botocore.session.get_session()
    assumed.register_component("credential_provider", CredentialResolver([_Assumed(fetcher)]))
    return boto3.Session(botocore_session=assumed, region_name=region)


class _Assumed(CredentialProvider):  # type: ignore[misc]  # botocore has no type information
    """The one provider of a session that acts in a role."""

    METHOD = "assume-role"

    def __init__(self, fetcher: AssumeRoleCredentialFetcher) -> None:
        super().__init__()
        self._fetcher = fetcher

    def load(self) -> Any:
        return DeferredRefreshableCredentials(refresh_using=self._fetcher.fetch_credentials, method=self.METHOD)
