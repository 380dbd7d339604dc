"""Audiences: segments that somebody described (contract M1)."""

from typing import Final

from schemas.model import Model, Name, Time

DEFAULT_MERGE_POLICY: Final = "default"
OWN_NAMESPACE: Final = "ups"  # own segmentation; every other namespace is an external source
AudienceKey = tuple[str, str]
"""(namespace, audience id), as in `segmentMembership`."""


class Audience(Model):
    """What is known about one audience. Changing it never triggers an export."""

    namespace: Name
    id: Name
    name: str | None = None
    description: str | None = None
    merge_policy_id: Name = DEFAULT_MERGE_POLICY
    origin: str | None = None
    created_at: Time | None = None
    updated_at: Time | None = None

    @property
    def key(self) -> AudienceKey:
        """(namespace, id)."""
        return self.namespace, self.id
