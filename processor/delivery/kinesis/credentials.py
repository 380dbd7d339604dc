"""A boto3 session with the credentials that the destination names.

Secrets pass through; they are never logged or put into errors.

    keys       ${NAME} from the environment, then from `.env`, or from the file that NAME_FILE names there: read again
               every minute; encrypted:… as the control API stored it (processor/foundation/secrets.py)
    default    boto3's chain: what it finds and does not refresh itself is read again every minute
    profile    a profile of boto3's files: likewise
    role       assumed, from the default chain, and again before it expires

So a key that is rotated in a file is used within a minute, without a restart. What expires or is refused before pauses
the flow, and every probe begins with a new session. Endpoint, FIPS, dual-stack and proxies are boto3's own settings
(AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT, AWS_ENDPOINT_URL_KINESIS, HTTPS_PROXY, or its configuration file).
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import boto3
import botocore.session
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    Credentials,
    DeferredRefreshableCredentials,
    RefreshableCredentials,
)
from botocore.exceptions import NoCredentialsError, ProfileNotFound

from processor.delivery.kinesis.faults import DestinationUnusable, PauseReason
from processor.foundation.secrets import Secrets, SecretUnreadable
from schemas.destination import ENCRYPTED, REFERENCE, Destination, KeyCredentials, ProfileCredentials, RoleCredentials

REREAD_SECONDS: Final = 60.0
NO_SECRETS: Final = Secrets()
_UNSENDABLE: Final = re.compile(
    r"[^\x21-\x7e]"
)  # no header may have it; the HTTP client's own error would show the whole value
_ROLE_SESSION: Final = "profile-exporter"  # shows in CloudTrail
_METHOD: Final = "profile-exporter"


def open_session(
    destination: Destination,
    environ: Mapping[str, str],
    secrets: Secrets = NO_SECRETS,
    reread_seconds: float = REREAD_SECONDS,
) -> boto3.Session:
    """Open a session of its own for the destination. Home of G7.

    References `${NAME}` are looked up in `environ`, what is encrypted is opened by `secrets`.

    Raises DestinationUnusable, and what botocore raises where there are no credentials.
    """
    credentials, region = destination.credentials, destination.region
    fresh = partial(_kept_fresh, seconds=reread_seconds)
    core = botocore.session.get_session()
    match credentials:
        case KeyCredentials():
            found = fresh(partial(_keys, credentials, environ, secrets))
        case ProfileCredentials():
            core = _session_of(credentials.name)
            found = fresh(lambda: _found(_session_of(credentials.name)))
        case RoleCredentials():
            found = _assumed(credentials, region, fresh(_default))
        case _:
            found = fresh(_default)
    core.register_component("credential_provider", CredentialResolver([_Found(found)]))
    return boto3.Session(botocore_session=core, region_name=region)


def resolve(text: str, environ: Mapping[str, str]) -> str:
    """Return the value that a reference `${NAME}` stands for, any other text as it is; raise DestinationUnusable.

    NAME in `environ` (the environment, then `.env`), else the content of the file that NAME_FILE names, as container
    platforms mount secrets.
    """
    reference = REFERENCE.fullmatch(text)
    if reference is None:
        return text
    name = reference[1]
    value = environ.get(name) or _content(f"{name}_FILE", environ)
    if not value:
        raise DestinationUnusable(
            PauseReason.CREDENTIALS_MISSING, f"{name} is not set in the worker's environment or .env, nor {name}_FILE"
        )
    return value


def _keys(keys: KeyCredentials, environ: Mapping[str, str], secrets: Secrets) -> Any:
    return Credentials(resolve(keys.access_key_id, environ), _secret(keys.secret_key, environ, secrets))


def _secret(stored: str, environ: Mapping[str, str], secrets: Secrets) -> str:
    if not stored.startswith(ENCRYPTED):
        return resolve(stored, environ)
    try:
        return secrets.decrypt(stored)
    except SecretUnreadable as error:
        raise DestinationUnusable(PauseReason.CREDENTIALS_MISSING, str(error)) from None


def _content(variable: str, environ: Mapping[str, str]) -> str:
    path = environ.get(variable)
    if not path:
        return ""
    try:
        content = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise DestinationUnusable(
            PauseReason.CREDENTIALS_MISSING, f"{variable}: {path} cannot be read: {why}"
        ) from None
    if not content:
        raise DestinationUnusable(PauseReason.CREDENTIALS_MISSING, f"{variable}: {path} is empty")
    return content


def _session_of(profile: str) -> botocore.session.Session:
    session = botocore.session.Session(profile=profile)
    try:
        session.get_scoped_config()
    except ProfileNotFound:
        raise DestinationUnusable(
            PauseReason.CREDENTIALS_MISSING, f"the AWS configuration files have no profile {profile}"
        ) from None
    return session


def _default() -> Any:
    return _found(botocore.session.get_session())


def _found(session: botocore.session.Session) -> Any:
    credentials = session.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    return credentials


def _kept_fresh(read: Callable[[], Any], seconds: float) -> Any:
    """Return what `read` gives, read again every so many seconds.

    What refreshes itself (a role, SSO, an instance's own credentials) is returned as it is.
    """

    def again() -> dict[str, str | None]:
        return _metadata(read(), seconds)

    found = read()
    if isinstance(found, RefreshableCredentials):
        return found
    return RefreshableCredentials.create_from_metadata(
        _metadata(found, seconds), refresh_using=again, method=_METHOD, advisory_timeout=0, mandatory_timeout=0
    )


def _metadata(found: Any, seconds: float) -> dict[str, str | None]:
    """Describe credentials for botocore's refreshable ones; they do not expire, but are looked at again."""
    key, secret, token = found.get_frozen_credentials()[:3]
    for name, value in (("access key id", key), ("secret key", secret), ("session token", token)):
        if value and _UNSENDABLE.search(value):
            explanation = f"the {name} holds a character that cannot be sent, as a blank or a line break"
            raise DestinationUnusable(PauseReason.CREDENTIALS_REFUSED, explanation)
    expiry = datetime.now(UTC) + timedelta(seconds=seconds)
    return {"access_key": key, "secret_key": secret, "token": token, "expiry_time": expiry.isoformat()}


def _assumed(role: RoleCredentials, region: str, source: Any) -> Any:
    """Have a role assumed when first needed, and again 15 minutes before its credentials expire.

    Botocore does so for roles of a profile.
    """
    extra = {"RoleSessionName": _ROLE_SESSION} | ({} if role.external_id is None else {"ExternalId": role.external_id})
    create_client = partial(botocore.session.get_session().create_client, region_name=region)
    fetcher = AssumeRoleCredentialFetcher(create_client, source, role.arn, extra_args=extra)

    def assume() -> Any:
        credentials = fetcher.fetch_credentials()
        if datetime.fromisoformat(credentials["expiry_time"]) <= datetime.now(UTC):
            explanation = f"the credentials of {role.arn} are expired when they come: is this machine's clock wrong?"
            raise DestinationUnusable(PauseReason.CREDENTIALS_REFUSED, explanation)
        return credentials

    return DeferredRefreshableCredentials(refresh_using=assume, method="assume-role")


class _Found(CredentialProvider):  # type: ignore[misc]  # botocore has no type information
    """The one provider of credentials of a session."""

    METHOD = _METHOD

    def __init__(self, credentials: Any) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Any:
        return self._credentials
