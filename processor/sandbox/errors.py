"""What ends the tour before its end."""

from processor.foundation.errors import CommandError


class DemoFailed(CommandError):
    """Something did not go as it should; the text says what, and shows the end of the worker's log where that helps."""
