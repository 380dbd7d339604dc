"""Sign tokens for Amazon MSK's IAM access control: a call of `kafka-cluster:Connect`, by the credentials of boto3.

    the default chain, or a profile ─► a role, where one is named (STS, in the cluster's region) ─► signed for 15
    minutes

AWS's own signer signs. Credentials are looked for anew for each token, so a key that is rotated is used from the next
one on. Signing itself asks nobody.
"""

import time
from typing import Any, Final, NamedTuple

import botocore.session
from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
from botocore.config import Config
from botocore.credentials import CredentialProvider, Credentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound

from processor.login.token import Token, TokenUnavailable, a_token

SESSION_NAME: Final = "profile-exporter"
_SECONDS: Final = 4.0  # for STS to be connected, and to answer
_SETTINGS: Final = "PROFILE_EXPORTER_KAFKA_AWS_"
_LOOK: Final = (
    f"look at the credentials of this process: environment, files, {_SETTINGS}PROFILE, the role of the machine or"
    " the pod"
)


class Role(NamedTuple):
    """A role to assume."""

    arn: str
    external_id: str | None = None
    session_name: str | None = None


class MskSigner:
    """Signs for the clusters of a region."""

    def __init__(self, region: str, profile: str | None = None, role: Role | None = None) -> None:
        self._region, self._profile, self._role = region, profile, role

    def fetch(self) -> Token:
        """Sign a new token; raise TokenUnavailable where that cannot be."""
        try:
            text, ends_ms = MSKAuthTokenProvider.generate_auth_token_from_credentials_provider(
                self._region, _Found(self._credentials())
            )
            return a_token(text, ends_ms / 1000 - time.time())
        except ClientError as error:
            raise self._refused(error) from None
        except ProfileNotFound:
            raise TokenUnavailable(
                f"the AWS configuration files have no profile {self._profile}",
                f"set {_SETTINGS}PROFILE to one of ~/.aws/config, or unset it",
            ) from None
        except NoCredentialsError:
            raise TokenUnavailable("there are no AWS credentials to sign with", _LOOK) from None
        except (BotoCoreError, ValueError) as error:
            raise TokenUnavailable(f"AWS credentials cannot be had: {error}", _LOOK) from None

    def _credentials(self) -> Any:
        session = botocore.session.Session(profile=self._profile)
        found = session.get_credentials()
        if found is None:
            raise NoCredentialsError
        if self._role is None:
            return found.get_frozen_credentials()
        return self._assumed(session, self._role)

    def _assumed(self, session: botocore.session.Session, role: Role) -> Credentials:
        client = session.create_client(
            "sts",
            region_name=self._region,
            config=Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"total_max_attempts": 2}),
        )
        extra = {} if role.external_id is None else {"ExternalId": role.external_id}
        try:
            answer = client.assume_role(RoleArn=role.arn, RoleSessionName=role.session_name or SESSION_NAME, **extra)[
                "Credentials"
            ]
        finally:
            client.close()
        return Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])

    def _refused(self, error: ClientError) -> TokenUnavailable:
        told = error.response.get("Error", {})
        what = (
            f"{told.get('Code', 'an error')}"
            f" ({str(told.get('Message', '')).splitlines()[0] if told.get('Message') else 'without words'})"
        )
        if self._role is None:
            return TokenUnavailable(f"AWS credentials cannot be had: {what}", _LOOK)
        return TokenUnavailable(
            f"the role {self._role.arn} cannot be assumed: {what}",
            f"allow these credentials sts:AssumeRole on it, in its trust policy too (with {_SETTINGS}EXTERNAL_ID where"
            " it asks for one)",
        )


class _Found(CredentialProvider):  # type: ignore[misc]  # botocore has no type information
    """Credentials as the signer takes them."""

    METHOD = SESSION_NAME

    def __init__(self, credentials: Any) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Any:
        return self._credentials
