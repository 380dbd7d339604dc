"""Wait until the workers have applied all events of now.

Only then the changelog says who is a member, and whose an identity is.
"""

import time
from collections.abc import Mapping
from typing import Final

from processor.audience_import.identities import Identities
from processor.foundation.errors import CommandError
from processor.foundation.settings import Settings
from processor.kafka.group_lag import PartitionLag, group_lag
from processor.kafka.log_ends import wait_until_shown

_SHOWN_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.5


def wait_for_workers(settings: Settings, identities: Identities, seconds: float) -> None:
    """Wait until the changelog holds all that events say; raise CommandError where the workers are too far behind."""
    deadline, ends = time.monotonic() + seconds, _event_log_ends(settings)
    while behind := _events_not_applied(settings, ends):
        if time.monotonic() > deadline:
            raise CommandError(_explain_lag(behind, identities))
        time.sleep(_POLL_SECONDS)
    if not wait_until_shown(settings, settings.topics.changelog, range(settings.partitions), deadline + _SHOWN_SECONDS):
        raise CommandError(
            f"a transaction stays open on {settings.topics.changelog}, so not all of it can be read; nothing was sent:"
            " try again"
        )


def _explain_lag(behind: int, identities: Identities) -> str:
    not_applied = f"the workers have not applied {behind} events"
    if identities.asked:
        return f"{not_applied}: whose the identities are is not known; nothing was sent\n  start workers and try again"
    return (
        f"{not_applied}: who is a member is not known, so who leaves is not either; nothing was sent\n"
        "  start workers and try again, or leave the exits out (--no-exits)"
    )


def _event_log_ends(settings: Settings) -> dict[int, int]:
    """Return the log end offsets of profile-events now, by partition."""
    return {lag.partition: lag.end for lag in _lags(settings)}


def _events_not_applied(settings: Settings, ends: Mapping[int, int]) -> int:
    """Count the offsets below `ends` that the workers have not processed; events after them never cease."""
    return sum(max(0, ends[lag.partition] - max(lag.start, lag.committed or 0)) for lag in _lags(settings))


def _lags(settings: Settings) -> list[PartitionLag]:
    (lags,) = group_lag(settings, [settings.topics.profile_events]).values()
    return lags
