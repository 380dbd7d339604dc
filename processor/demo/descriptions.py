"""Describe the causes of a record (contract A13) in words."""

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


class CauseDescriptions:
    """Descriptions of causes, with the names of `audiences`."""

    def __init__(self, audiences: Iterable[Audience]) -> None:
        self._names: dict[AudienceKey, str] = {
            audience.key: audience.name for audience in audiences if audience.name is not None
        }

    def describe_all(self, causes: Iterable[str]) -> str:
        """Describe every cause, in one sentence."""
        return "; ".join(self.describe(cause) for cause in causes)

    def describe(self, cause: str) -> str:
        """Describe a cause, as a record lists it; a kind that is not known stays as it is."""
        kind, _, rest = cause.partition(":")
        if kind == "attribute":
            return f"its {_ATTRIBUTES.get(rest, f'attribute {rest}')} was written"
        if kind == "identity":
            return f"its identities of the kind {rest} changed"
        if kind == "segment":
            return self._transition(rest)
        return cause

    def _transition(self, text: str) -> str:
        """Describe a transition, `<namespace>/<audience id>:<new status>`."""
        audience, _, status = text.rpartition(":")
        namespace, _, audience_id = audience.partition("/")
        name = self._names.get((namespace, audience_id), audience_id)
        return f"the profile {_CHANGES.get(status, status)} the audience {name} ({namespace})"
