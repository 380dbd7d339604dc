"""The topic `audit-events`: who changed what, when, and how it was before.

A record is written in the transaction of the change itself.

    key    the kind and id of what was changed, ["flows","vip"]
    value  {"time", "who", "via", "action", "kind", "id", "before", "after"}; `before`, `after`: the object, secrets
           masked, null where there is none

Of kind `flows` also "etagBefore" and "etag", what names the flow before and after on `flows` and on each export, null
where nothing does; and "deletedAt" where it stays on the topic for its last exits: `etag` then names the flow of
`before`. Records of before those fields lack them; the action `recorded` makes up for it: nothing was changed, `after`
is the flow that `etag` names.

What workers do has kind `partitions` (`processor/worker/partition_history.py` writes it, outside of transactions).
`id`: the partitions, "0,3".
    taken_over   `after`: {"version", "maxDocumentBytes", "dedupWindow", "membershipExpiry", "partitions":
                 [{"partition", "firstOffset"}…]}: what decides there from that offset of `profile-events` on, until the
                 next such event of the partition
    skipped      `after`: {"topic", "partition", "from", "to", "why"}: these offsets, both included, were passed over;
                 `why`: the setting
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from schemas.destination import mask_secrets
from schemas.kafka import ProducerRecord
from schemas.times import format_time

_PARTITIONS: Final = "partitions"
_FLOW_KEY: Final = b'["flows",'

FlowEtag = tuple[str, str]
"""A flow's id and etag: its content at some time."""


class Author(NamedTuple):
    """The author of a change: a token's name, a user, or a worker's name; `via` is `api`, `command` or `worker`."""

    who: str
    via: str


class Etags(NamedTuple):
    """The etags that name a flow before and after a change, None where nothing does.

    `deleted_at`: since when it is there only for its last exits (F2).
    """

    before: str | None
    after: str | None
    deleted_at: str | None = None


@dataclass(frozen=True, slots=True)
class DecidingSettings:
    """The settings that decide beside flows and audiences (I4, I5, F5), and the version of the program.

    Another version may write other bytes; with other bounds other events are skipped.
    """

    version: str
    max_document_bytes: int
    dedup_window: int
    membership_expiry: bool


def encode_audit_event(
    author: Author,
    now_ms: int,
    kind: str,
    object_id: str,
    before: Any,
    after: Any,
    etags: Etags | None = None,
    action: str | None = None,
) -> ProducerRecord:
    """Return the record of a change.

    `before` and `after` are JSON values; `etags` of a flow; `action` where it does not follow from the two.
    """
    event = {
        "time": format_time(now_ms // 1000),
        "who": author.who,
        "via": author.via,
        "action": action or ("created" if before is None else "deleted" if after is None else "changed"),
        "kind": kind,
        "id": object_id,
        "before": mask_secrets(before),
        "after": mask_secrets(after),
    }
    if etags is not None:
        event |= {"etagBefore": etags.before, "etag": etags.after}
        event |= {} if etags.deleted_at is None else {"deletedAt": etags.deleted_at}
    return ProducerRecord(orjson.dumps([kind, object_id]), orjson.dumps(event))


def encode_takeover(
    worker: Author, now_ms: int, first_offsets: Mapping[int, int], deciding: DecidingSettings
) -> ProducerRecord:
    """Return the record of `taken_over`; `first_offsets` of `profile-events`, by partition."""
    after = {
        "version": deciding.version,
        "maxDocumentBytes": deciding.max_document_bytes,
        "dedupWindow": deciding.dedup_window,
        "membershipExpiry": deciding.membership_expiry,
        "partitions": [
            {"partition": partition, "firstOffset": offset} for partition, offset in sorted(first_offsets.items())
        ],
    }
    return encode_audit_event(worker, now_ms, _PARTITIONS, _names(first_offsets), None, after, action="taken_over")


def encode_skip(
    worker: Author, now_ms: int, topic_partition: tuple[str, int], first: int, last: int, why: str
) -> ProducerRecord:
    """Return the record of `skipped`: offsets `first` to `last`, both included, of a topic partition."""
    topic, partition = topic_partition
    after = {"topic": topic, "partition": partition, "from": first, "to": last, "why": why}
    return encode_audit_event(worker, now_ms, _PARTITIONS, _names([partition]), None, after, action="skipped")


def decode_flow_etags(key: bytes | None, value: bytes | None) -> Iterator[FlowEtag]:
    """Yield each flow and etag that an audit event names.

    Nothing for events of other kinds, of before etags, and for what is none of ours.
    """
    if value is None or key is None or not key.startswith(_FLOW_KEY):
        return
    try:
        event: Any = orjson.loads(value)
    except orjson.JSONDecodeError:
        return
    if isinstance(event, dict):
        for name in ("etagBefore", "etag"):
            if isinstance(event.get(name), str):
                yield str(event.get("id")), event[name]


def _names(partitions: Iterable[int]) -> str:
    return ",".join(map(str, sorted(partitions)))
