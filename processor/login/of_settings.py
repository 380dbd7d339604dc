"""The tokens that the settings ask for: the same ones for every client of this process."""

import ssl
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from processor.foundation.errors import UsageError
from processor.foundation.login_fields import AWS_MSK_IAM, TOKEN_MECHANISMS
from processor.foundation.settings import Settings
from processor.foundation.settings_environment import env_name
from processor.login.token import TokenSource

if TYPE_CHECKING:
    from processor.login.renewal import Tokens

_MOST_INSTALLATIONS: Final = 16  # tests have several in a process
_making: Final = threading.Lock()


def has_token_login(settings: Settings) -> bool:
    """Return whether Kafka is shown a token."""
    return settings.kafka_sasl_mechanism in TOKEN_MECHANISMS


def tokens_of(settings: Settings) -> "Tokens":
    """Return the tokens of settings with a token login; nobody is asked yet.

    Raises UsageError for a file of authorities that cannot be read.
    """
    with _making:
        return _tokens_of(settings)


@lru_cache(_MOST_INSTALLATIONS)
def _tokens_of(settings: Settings) -> "Tokens":
    # Structlog comes with it, and most logins have no token.
    from processor.login.renewal import Tokens  # noqa: PLC0415

    return Tokens(_source(settings))


def _source(settings: Settings) -> TokenSource:
    if settings.kafka_sasl_mechanism == AWS_MSK_IAM:
        return _msk(settings)
    if settings.kafka_oauth_token_file is not None:
        # Each source when it is used: commands start fast.
        from processor.login.token_file import TokenFile  # noqa: PLC0415

        return TokenFile(settings.kafka_oauth_token_file)
    return _endpoint(settings)


def _endpoint(settings: Settings) -> TokenSource:
    from processor.login.client_credentials import ClientCredentials, tls_of  # noqa: PLC0415  # as above

    url, client_id, secret = (
        settings.kafka_oauth_token_url,
        settings.kafka_oauth_client_id,
        settings.kafka_oauth_client_secret,
    )
    assert url is not None  # the settings agree
    assert client_id is not None
    assert secret is not None
    try:
        tls = tls_of(url, settings.kafka_oauth_ca_file)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"wrong settings: {env_name('kafka_oauth_ca_file')}={settings.kafka_oauth_ca_file}: {error}\n  name a PEM"
            " file of authorities"
        ) from None
    return ClientCredentials(url, client_id, secret.get_secret_value(), scope=settings.kafka_oauth_scope, tls=tls)


def _msk(settings: Settings) -> TokenSource:
    from processor.login.msk import MskSigner, Role  # noqa: PLC0415  # botocore takes half a second

    region, arn = settings.kafka_aws_region, settings.kafka_aws_role_arn
    assert region is not None  # the settings agree
    role = None if arn is None else Role(arn, settings.kafka_aws_external_id, settings.kafka_aws_role_session_name)
    return MskSigner(region, settings.kafka_aws_profile, role)
