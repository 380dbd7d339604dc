"""The causes of a record in words (contract A13)."""

from collections.abc import Iterable, Mapping
from typing import Final

from schemas.audience import Audience, AudienceKey

_ATTRIBUTES: Final[Mapping[str, str]] = {
    "person.name": "name",
    "person.name.firstName": "first name",
    "person.name.lastName": "last name",
    "personalEmail.address": "e-mail address",
    "_shop.loyalty": "loyalty status",
    "_shop.loyalty.tier": "loyalty tier",
    "_shop.cart": "cart",
}
_CHANGES: Final[Mapping[str, str]] = {"realized": "entered", "exited": "left"}


class Words:
    """Causes in words, with the names of these audiences."""

    def __init__(self, audiences: Iterable[Audience]) -> None:
        self._names: dict[AudienceKey, str] = {
            audience.key: audience.name for audience in audiences if audience.name is not None
        }

    def all_of(self, causes: Iterable[str]) -> str:
        """Every cause, one sentence."""
        return "; ".join(self.one(cause) for cause in causes)

    def one(self, cause: str) -> str:
        """One cause, as a record lists it; a kind that is not known stays as it is."""
        kind, _, rest = cause.partition(":")
        if kind == "attribute":
            return f"its {_ATTRIBUTES.get(rest, f'attribute {rest}')} was written"
        if kind == "identity":
            return f"its identities of the kind {rest} changed"
        if kind == "segment":
            return self._transition(rest)
        return cause

    def _transition(self, text: str) -> str:
        """`<namespace>/<audience id>:<new status>`."""
        place, _, status = text.rpartition(":")
        namespace, _, audience_id = place.partition("/")
        name = self._names.get((namespace, audience_id), audience_id)
        return f"the profile {_CHANGES.get(status, status)} the audience {name} ({namespace})"
