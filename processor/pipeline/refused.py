"""Why a partition goes no further, where no setting of the worker helps.

Interpreted: a compiled class may not inherit from this one's base.
"""

from processor.foundation.errors import StoppedForOperator
from processor.foundation.settings_environment import env_name
from schemas.kafka import ConsumerRecord


class DeadLetterTooLarge(StoppedForOperator):
    """An unusable event that `dead-letters` does not take, however it is written; it is not passed (contract I4)."""

    def __init__(self, record: ConsumerRecord, explanation: str) -> None:
        place = f"{record.topic}[{record.partition}] offset {record.offset}"
        super().__init__(
            f"{place} cannot be used ({explanation}), and its {len(record.value or b'')} bytes are more than"
            " dead-letters takes, however they are compressed\n  raise max.message.bytes of dead-letters with"
            " kafka-configs.sh --alter; or leave the event out with"
            f" {env_name('skip_to')}={record.partition}:{record.offset + 1} for one start: all that stands before it is"
            " done"
        )
