"""The exit codes of a worker, and the errors that stop it in order for the operator.

0 stopped on request    1 failed: start it again    2 wrong settings or topics    3 stopped for the operator: a
supervisor that starts it again changes nothing
"""

from collections.abc import Callable, Mapping
from typing import Final

from processor.foundation.errors import CommandError, StoppedForOperator
from processor.foundation.settings_environment import env_name
from processor.pipeline.bad_events import DeadLetterTooLarge, TooManyBadEvents
from schemas.wire.profiles_changelog import UnreadableRow
from state.damage import NoSpace

FAILED: Final = 1
FOR_OPERATOR: Final = (StoppedForOperator, TooManyBadEvents, DeadLetterTooLarge, UnreadableRow, NoSpace)


def exit_code_of(reason: BaseException) -> int:
    """Return the exit code of a worker that ended for a reason."""
    if isinstance(reason, FOR_OPERATOR):
        return StoppedForOperator.exit_code
    return reason.exit_code if isinstance(reason, CommandError) else FAILED


def with_remedy(reason: BaseException) -> StoppedForOperator:
    """Say of a reason for the operator what to do about it, where its own text does not."""
    if isinstance(reason, StoppedForOperator):
        return reason
    remedy = next((f"\n  {about(reason)}" for kind, about in _REMEDIES.items() if isinstance(reason, kind)), "")
    return StoppedForOperator(f"{reason}{remedy}")


def _about_bad_events(reason: BaseException) -> str:
    assert isinstance(reason, TooManyBadEvents)
    _, partition, offset = reason.place
    return (
        f"mend what writes them; then leave this one out with {env_name('skip_to')}={partition}:{offset + 1}, "
        f"or make all of them dead letters with {env_name('max_bad_events_in_a_row')}=0, and start again"
    )


def _about_dead_letter(reason: BaseException) -> str:
    assert isinstance(reason, DeadLetterTooLarge)
    _, partition, offset = reason.place
    return (
        "raise max.message.bytes of dead-letters with kafka-configs.sh --alter; or leave the event out with"
        f" {env_name('skip_to')}={partition}:{offset + 1} for one start: all that stands before it is done"
    )


def _about_rows(_: BaseException) -> str:
    return (
        "start the version that wrote it, or a newer one; where it is damaged, stop the worker and empty its "
        f"{env_name('data_dir')}: the rows are restored from the changelog"
    )


_REMEDIES: Final[Mapping[type[BaseException], Callable[[BaseException], str]]] = {
    TooManyBadEvents: _about_bad_events,
    DeadLetterTooLarge: _about_dead_letter,
    UnreadableRow: _about_rows,
}
