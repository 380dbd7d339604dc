"""The settings of logs, readable where other settings are wrong."""

from typing import Literal

from pydantic import Field, ValidationError

from processor.foundation.errors import UsageError
from processor.foundation.settings_environment import FromEnvironment

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "console"]


class LogSettings(FromEnvironment):
    """The settings of what is logged, and how."""

    log_level: LogLevel = Field(default="info", description="The least severe events that are logged.")
    log_format: LogFormat = Field(
        default="auto", description="console, json, or auto: console on a terminal, json otherwise."
    )


class _LogForm(FromEnvironment):
    """The form of logs alone, for a process whose other settings are wrong."""

    log_format: LogFormat = "auto"


def read_log_format() -> LogFormat:
    """Read how logs are written, whatever else is wrong; "auto" where that is wrong itself."""
    try:
        return _LogForm().log_format
    except (ValidationError, UsageError):
        return "auto"
