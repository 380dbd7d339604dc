"""Why an event cannot be used, as an error that carries the dead letter's reason."""

from schemas.dead_letter import DeadLetterReason


class Unusable(Exception):
    """The event becomes a dead letter; the profile's state does not change (contract I4)."""

    def __init__(self, reason: DeadLetterReason, explanation: str) -> None:
        super().__init__(f"{reason}: {explanation}")
        self.reason = reason
        self.explanation = explanation
