"""Stored secrets under another key: the same secrets, the same etags, other bytes."""

from processor.control.draft import Draft
from processor.foundation.secrets import Secrets
from schemas.connection import Connection
from schemas.destination import ENCRYPTED, Credentials, KeyCredentials


def rotate(draft: Draft, secrets: Secrets) -> int:
    """Encrypt all secrets anew, and return how many there were; a flow and its connection share one.

    Raises SecretUnreadable, NoSecretsKey.
    """
    rotated: dict[str, str] = {}

    def anew(credentials: Credentials | None) -> Credentials | None:
        if not isinstance(credentials, KeyCredentials) or not credentials.secret_key.startswith(ENCRYPTED):
            return None
        stored = credentials.secret_key
        if stored not in rotated:
            rotated[stored] = secrets.rotate(stored)
        return credentials.model_copy(update={"secret_key": rotated[stored]})

    for (kind, object_id), kept in list(draft.state.objects.items()):
        if isinstance(kept.item, Connection) and (credentials := anew(kept.item.credentials)) is not None:
            draft.rewrite_object(kind, object_id, kept.item.model_copy(update={"credentials": credentials}))
    for flow in [
        *(kept.item for kept in draft.state.flows.values()),
        *(stored.flow for stored in draft.state.leaving.values()),
    ]:
        if (credentials := anew(flow.destination.credentials)) is not None:
            destination = flow.destination.model_copy(update={"credentials": credentials})
            draft.rewrite_flow(flow.model_copy(update={"destination": destination}))
    return len(rotated)
