"""The error that ends what runs in the sandbox before its end."""

from processor.foundation.errors import CommandError


class SandboxFailed(CommandError):
    """An error that ends the tour or a test.

    Its text says what failed, with the end of the worker's log where that helps.
    """
