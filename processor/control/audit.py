"""Who changed what, when, and how it was before: records of the topic `audit-events`, in the transaction of the change itself.

    key    the kind and id of what was changed, ["flows","vip"]
    value  {"time", "who", "via", "action", "kind", "id", "before", "after"}; `before`, `after`: the object, secrets masked, null where there is none
"""

from typing import Any, Final, NamedTuple

import orjson

from processor.settings import MASKED
from schemas.times import format_time

SECRET_NAMES: Final = frozenset({"secretKey", "secret_key"})


class Author(NamedTuple):
    """Who changes something: a token's name, or a user; `via` is `api` or `command`."""

    who: str
    via: str


def audit_event(author: Author, now_ms: int, kind: str, object_id: str, before: Any, after: Any) -> tuple[bytes, bytes]:
    """Key and value. `before` and `after` are JSON values."""
    action = "created" if before is None else "deleted" if after is None else "changed"
    event = {
        "time": format_time(now_ms // 1000),
        "who": author.who,
        "via": author.via,
        "action": action,
        "kind": kind,
        "id": object_id,
        "before": masked(before),
        "after": masked(after),
    }
    return orjson.dumps([kind, object_id]), orjson.dumps(event)


def masked(value: Any) -> Any:
    """The same with every secret in it hidden, also an encrypted one; a reference to the environment is none."""
    if isinstance(value, dict):
        return {name: _shown(inner) if name in SECRET_NAMES else masked(inner) for name, inner in value.items()}
    return [masked(inner) for inner in value] if isinstance(value, list) else value


def _shown(secret: Any) -> Any:
    return secret if isinstance(secret, str) and secret.startswith("${") else MASKED
