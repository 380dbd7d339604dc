"""An error for an event that cannot be used, with the dead letter's reason."""

from typing import Final

from schemas.dead_letter import DeadLetterReason

MAX_EXPLANATION_CHARACTERS: Final = 480


class Unusable(Exception):
    """The event becomes a dead letter; the profile's state does not change (contract I4).

    The explanation stands in a Kafka header, on terminals and in logs: it is short, and holds nothing that does not
    show.
    """

    def __init__(self, reason: DeadLetterReason, explanation: str) -> None:
        told = _printable(explanation)
        super().__init__(f"{reason}: {told}")
        self.reason = reason
        self.explanation = told


def _printable(text: str) -> str:
    told = _cut(text)
    return (
        told
        if told.isprintable()
        else _cut("".join([each if each.isprintable() else ascii(each)[1:-1] for each in told]))
    )


def _cut(text: str) -> str:
    return text if len(text) <= MAX_EXPLANATION_CHARACTERS else f"{text[: MAX_EXPLANATION_CHARACTERS - 1]}…"
