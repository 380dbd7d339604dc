"""Encrypt secrets at rest: a topic holds only what the operator's keys open, `encrypted:` and a Fernet token (G7).

    PROFILE_EXPORTER_SECRETS_KEY = new,old        the first key encrypts, each one decrypts

So keys are changed without a gap: put the new one in front everywhere, rewrite what is stored (`profile-exporter
secrets rotate`), take the old one away. Fernet (github.com/fyne/spec: AES-128-CBC and HMAC-SHA256) refuses a token that
anybody changed.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from processor.foundation.errors import UsageError
from processor.foundation.settings import Settings
from processor.foundation.settings_environment import env_name
from schemas.destination import ENCRYPTED

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

_MAKE_ONE: Final = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
_SETTINGS: Final = f"{env_name('secrets_key')} or {env_name('secrets_key_file')}"


class NoSecretsKey(UsageError):
    """A secret would have to be stored, and there is no key for it."""

    def __init__(self) -> None:
        super().__init__(
            f"a secret is stored only encrypted, and there is no key: set {_SETTINGS} here and for the workers "
            f"({_MAKE_ONE}), or use the default credential chain or a role, which need no secret"
        )


class SecretUnreadable(Exception):
    """A stored secret that none of the keys opens; the text says what to do and holds nothing of it."""


def _box_of(keys: Sequence[str]) -> "MultiFernet":
    # Most installations store no secret, and commands start fast.
    from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415

    return MultiFernet([Fernet(key) for key in keys])


class Secrets:
    """Encrypts and decrypts by the keys of the settings; without keys it refuses both in words."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        """Raises ValueError for what is no key."""
        self._box = _box_of(keys) if keys else None

    def encrypt(self, secret: str) -> str:
        """As it may stand on a topic; raises NoSecretsKey."""
        if self._box is None:
            raise NoSecretsKey
        return ENCRYPTED + self._box.encrypt(secret.encode()).decode()

    def decrypt(self, stored: str) -> str:
        """The secret itself; raises SecretUnreadable."""
        if self._box is None:
            raise SecretUnreadable(f"the secret is stored encrypted, and {_SETTINGS} is not set where this runs")
        from cryptography.fernet import InvalidToken  # noqa: PLC0415  # as in _box_of

        try:
            return self._box.decrypt(stored.removeprefix(ENCRYPTED).encode()).decode()
        except InvalidToken:
            raise SecretUnreadable(
                f"no key of {_SETTINGS} opens the stored secret: is the key missing that encrypted it?"
            ) from None

    def rotate(self, stored: str) -> str:
        """The same secret under the first key; raises NoSecretsKey, SecretUnreadable."""
        return self.encrypt(self.decrypt(stored))


def secrets_of(settings: Settings) -> Secrets:
    """By the settings; raises UsageError, which never shows a key."""
    name = env_name("secrets_key") if settings.secrets_key_file is None else env_name("secrets_key_file")
    try:
        return Secrets([key.strip() for key in _keys(settings).split(",") if key.strip()])
    except ValueError:
        raise UsageError(
            f"{name}: not every key in it is urlsafe base64 of 32 bytes; make one with {_MAKE_ONE}"
        ) from None


def _keys(settings: Settings) -> str:
    if settings.secrets_key is not None:
        return settings.secrets_key.get_secret_value()
    if settings.secrets_key_file is None:
        return ""
    try:
        return settings.secrets_key_file.read_text(encoding="ascii").strip().replace("\n", ",")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise UsageError(f"{env_name('secrets_key_file')}: {settings.secrets_key_file} cannot be read: {why}") from None
