"""`profile-exporter secrets`: encrypt stored secrets under another key."""

import click

from processor.cli.control_plane import change
from processor.control.rotation import rotate
from processor.foundation.errors import CommandError
from processor.foundation.secrets import SecretUnreadable, secrets_of
from processor.foundation.settings import read_settings


@click.group("secrets")
def secrets() -> None:
    """Secrets that the control API stored encrypted."""


@secrets.command("rotate")
def rotate_secrets() -> None:
    """Encrypt all stored secrets anew, under the first key of SECRETS_KEY.

    Put the new key in front of the old one, for the API and all workers; run this; then take the old one away. Etags
    stay as they are, since nothing else changes. All secrets are written in one transaction, or none.
    """
    settings = read_settings()
    box = secrets_of(settings)
    try:
        rotated = change(settings, lambda draft: rotate(draft, box))
    except SecretUnreadable as error:
        raise CommandError(f"{error}; nothing was changed") from None
    click.echo(f"{rotated} secrets are encrypted under the first key")
