"""Takeovers in the place of Faust's recovery (`state.recovery`), as a service that the worker needs while it runs."""

from processor.foundation.revocable import PartitionsRevoked
from processor.transport.lasting import LastingTasks
from state import recovery


class LastingRecovery(LastingTasks, recovery.TakeoverRecovery):
    """Recovery whose tasks last as long as the worker; a takeover that is revoked is followed by another one."""

    revocations = (PartitionsRevoked,)


class LastingTables(recovery.TakeoverTables):
    """The table manager of a worker."""

    recovery_service = LastingRecovery
