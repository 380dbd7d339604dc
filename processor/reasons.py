"""Which errors stop a worker in order, for the operator: exit code 3. A supervisor that starts it again changes nothing."""

from typing import Final

from processor.errors import StoppedForOperator
from processor.pipeline.decided import TooManyBadEvents
from state.damage import NoSpace
from state.rows import UnreadableRow

FOR_OPERATOR: Final = (StoppedForOperator, TooManyBadEvents, UnreadableRow, NoSpace)
