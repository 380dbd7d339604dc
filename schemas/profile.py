"""What is kept: one profile, as the fold of its events (contract I2, I7)."""

from typing import Any, NamedTuple

Document = dict[str, Any]
"""An XDM document: attributes beside `segmentMembership` and `identityMap`. Never changed in place, holds no nulls."""


class Profile(NamedTuple):
    """The state of one profile.

    `version` counts the events applied to it, from 1 (contract 4b). `event_ids` are the ids of the last events, the
    newest last (I5). `size_bound_bytes` is never below the document's size as compact JSON; it is derived, not state:
    it only says when the size must be measured.
    """

    document: Document
    version: int
    event_ids: tuple[str, ...]
    size_bound_bytes: int
