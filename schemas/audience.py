"""Audiences: segments that somebody described (contract M1)."""

from typing import Annotated, Final

from pydantic import AfterValidator, ValidationInfo

from schemas.model import STORED, Model, Name, Time

DEFAULT_MERGE_POLICY: Final = "default"
OWN_NAMESPACE: Final = "ups"  # own segmentation; every other namespace is an external source
KNOWN_NAMESPACES: Final = (OWN_NAMESPACE, "CustomerAudienceUpload")
AudienceKey = tuple[str, str]
"""(namespace, audience id), as in `segmentMembership`."""


MAX_NAME_CHARACTERS: Final = 1024


def _bounded(name: str, info: ValidationInfo) -> str:
    if len(name) > MAX_NAME_CHARACTERS and info.context != STORED:
        raise ValueError(
            f"has {len(name)} characters, {MAX_NAME_CHARACTERS} at most are allowed: each record of a flow may name"
            " hundreds (C5)"
        )
    return name


def warning_of_namespace(namespace: str) -> str | None:
    """Return the warning for a namespace that differs from a known one in case alone (M5): it is another one (C7)."""
    known = next(
        (each for each in KNOWN_NAMESPACES if each != namespace and each.casefold() == namespace.casefold()), None
    )
    return (
        None
        if known is None
        else (
            f"namespace {namespace} is not {known}: they differ in case only, and are two; write {known} if it is meant"
        )
    )


class Audience(Model):
    """An audience, as far as somebody described it; to change it never triggers an export. Home of M1."""

    namespace: Name
    id: Name
    name: Annotated[str, AfterValidator(_bounded)] | None = None
    description: str | None = None
    merge_policy_id: Name = DEFAULT_MERGE_POLICY
    origin: str | None = None
    created_at: Time | None = None
    updated_at: Time | None = None

    @property
    def key(self) -> AudienceKey:
        """Return the namespace and the id."""
        return self.namespace, self.id
