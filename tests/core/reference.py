"""A naive model of the contract: slow, generic, written from the rules alone.

Everything is copied, whole documents are compared before and after, and the paths an event writes are enumerated one
by one. It shares no code with the product, not even the reading of times.
"""

import base64
import codecs
import copy
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.kafka import ReadRecord

ABSENT = object()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
THIRTY_DAYS = timedelta(days=30)
MAX_NESTING = 200
MAX_ATTRIBUTE_BYTES = 1024
NOT_ATTRIBUTES = ("segmentMembership", "identityMap")
OPAQUE_LEVELS = {"segmentMembership": 2, "identityMap": 1}
CONSENTS = ("y", "dy", "li", "ct", "cp", "vi", "pi", "in", "true")
STATUSES = {"realized": "realized", "existing": "realized", "exited": "exited", "exiting": "exited"}
TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:([Zz])|([+-])(\d\d)(?::?(\d\d))?)", re.ASCII
)
REQUIRED = ("specversion", "id", "source", "type")
TYPES = ("profile.patched", "profile.replaced", "profile.deleted", "profile.merged", "membership.expired")

AudienceKey = tuple[str, str]
Path = tuple[str, ...]
Place = tuple[str, int, str]  # topic, partition and key: one profile (I12)
Line = dict[str, Any]


class Unusable(Exception):
    """The event is a dead letter; `reason` is the contract's word (I4)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass
class Event:
    source: str
    id: str | None
    type: str
    time: datetime
    data: Any


@dataclass
class State:
    """One profile, taken apart: attributes, memberships by (namespace, id), identities by namespace."""

    attributes: dict[str, Any] = field(default_factory=dict)
    membership: dict[AudienceKey, dict[str, Any]] = field(default_factory=dict)
    identities: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    version: int = 0
    ids: list[tuple[str, str]] = field(default_factory=list)

    def status(self, audience: AudienceKey) -> str | None:
        entry = self.membership.get(audience)
        return None if entry is None else entry["status"]

    def document(self) -> dict[str, Any]:
        document = copy.deepcopy(self.attributes)
        for (namespace, audience_id), entry in self.membership.items():
            document.setdefault("segmentMembership", {}).setdefault(namespace, {})[audience_id] = entry
        if self.identities:
            document["identityMap"] = self.identities
        return document


@dataclass
class Sent:
    """A record in full: the line of replay's output, what leaves (with the envelope, if any), Kinesis' partition
    key.
    """

    line: Line
    value: dict[str, Any]
    partition_key: str


class ReferenceReplay:
    """Folds and decides as contract 4b says. `configuration` is the parsed file: `{"audiences": […], "flows": […]}`."""

    def __init__(
        self, configuration: dict[str, Any], max_document_bytes: int = 512 * 1024, dedup_window: int = 1
    ) -> None:
        described = configuration.get("audiences") or []
        self.audiences = {(each["namespace"], each["id"]): each for each in described}
        self.flows = configuration.get("flows") or []
        self.max_document_bytes = max_document_bytes
        self.dedup_window = dedup_window
        self.profiles: dict[Place, State] = {}
        self.highest: dict[tuple[str, int], int] = {}
        self.skipped: dict[str, str] = {}
        """Of the last record: why each flow that sent nothing did so (section 7), by id; {} where no event was applied.
        """

    def feed(self, record: ReadRecord) -> tuple[list[Line], str | None]:
        """The lines that leave after `record`, in no particular order of flows, and the reason if it is a dead
        letter.
        """
        sent, reason = self.feed_in_full(record)
        return [each.line for each in sent], reason

    def feed_in_full(self, record: ReadRecord) -> tuple[list[Sent], str | None]:
        """As `feed`, with what leaves and the partition key beside each line."""
        self.skipped = {}
        where = (record.topic, record.partition)
        if record.offset <= self.highest.get(where, -1):  # I5
            return [], None
        self.highest[where] = record.offset
        try:
            return self._apply(record), None
        except Unusable as unusable:
            return [], unusable.reason

    def _apply(self, record: ReadRecord) -> list[Sent]:
        event, subject = read_event(record)
        key = read_key(record.key)
        if subject not in (None, key):
            raise Unusable("subject_mismatch" if subject else "not_cloudevents")
        require(event.type != "profile.merged" or event.data["into"] != key)
        place = (record.topic, record.partition, key)
        before = self.profiles.get(place)
        if before is None and event.type not in ("profile.patched", "profile.replaced"):
            return []  # I8
        before = before or State()
        if event.id is not None and (event.source, event.id) in before.ids and event.type != "membership.expired":
            return []  # I5; an expiry stands outside the window, whoever took its id before (F5)
        after = fold(before, event)
        if after is not None:
            self._remember(place, before, after, event)
        else:
            del self.profiles[place]
        decisions = [(flow, self._decide(flow, before, after, event)) for flow in self.flows if is_enabled(flow)]
        sending = [flow["id"] for flow, (_, data) in decisions if data is not None]
        self.skipped = {
            flow["id"]: why_nothing(flow, before, after, event) for flow in self.flows if flow["id"] not in sending
        }
        version = before.version + 1
        return [
            self._sent(record, key, event, version, flow, causes, data, after or before)
            for flow, (causes, data) in decisions
            if data is not None
        ]

    def _remember(self, place: Place, before: State, after: State, event: Event) -> None:
        compact = json.dumps(after.document(), ensure_ascii=False, separators=(",", ":"))
        if len(compact.encode()) > self.max_document_bytes:
            raise Unusable("document_too_large")
        after.version = before.version + 1
        after.ids = list(before.ids)
        if event.type != "membership.expired" and event.id is not None:
            after.ids.append((event.source, event.id))
        after.ids = after.ids[-self.dedup_window :] if self.dedup_window else []
        self.profiles[place] = after

    def _decide(
        self, flow: dict[str, Any], before: State, after: State | None, event: Event
    ) -> tuple[list[str], dict[str, Any] | None]:
        if event.type == "profile.merged":
            return [], None  # F4
        before, after = as_seen(flow, before, after, event)
        if after is None:
            return self._decide_deletion(flow, before, event)
        causes = find_causes(flow, before, after, event)
        if not any(trigger_is_on(flow, cause) for cause in causes):
            return causes, None
        changed = [audience for audience in mapped(flow) if transition(before, after, audience)]
        return causes, {
            **render_attributes(flow, after),
            "segmentMembership": self._render_membership(flow, after, event.time, changed),
            "identityMap": render_identities(flow, after),
        }

    def _decide_deletion(
        self, flow: dict[str, Any], before: State, event: Event
    ) -> tuple[list[str], dict[str, Any] | None]:
        left = [audience for audience in mapped(flow) if before.status(audience) == "realized"]
        causes = sorted(segment_cause(audience, "exited") for audience in left)
        silent = option(flow, "onDelete", "export") == "silent"
        if silent or not any(trigger_is_on(flow, cause) for cause in causes):
            return causes, None
        exited = {"status": "exited", "lastQualificationTime": format_time(event.time)}
        gone = State(membership=dict.fromkeys(left, exited))
        return causes, {
            "segmentMembership": self._nested(flow, gone, left),
            "identityMap": render_identities(flow, before),
        }

    def _render_membership(
        self, flow: dict[str, Any], after: State, now: datetime, changed: list[AudienceKey]
    ) -> dict[str, Any]:
        policies = {self._policy(audience) for audience in changed}
        if not changed:
            policies = {self._policy(a) for a in mapped(flow) if after.status(a) == "realized"}
        scope = option(flow, "membershipScope", "adobe")
        listed = []
        for audience, entry in after.membership.items():
            if audience in mapped(flow):
                age = now - read_time(entry["lastQualificationTime"])
                wanted = entry["status"] == "realized" or age <= THIRTY_DAYS or audience in changed
            else:
                by_scope = {"mapped": False, "all": True, "adobe": self._policy(audience) in policies}
                wanted = entry["status"] == "realized" and by_scope[scope]
            if wanted:
                listed.append(audience)
        return self._nested(flow, after, listed)

    def _nested(self, flow: dict[str, Any], state: State, listed: list[AudienceKey]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for audience in listed:
            namespace, audience_id = audience
            result.setdefault(namespace, {})[audience_id] = self._entry(flow, state, audience)
        return result

    def _entry(self, flow: dict[str, Any], state: State, audience: AudienceKey) -> dict[str, Any]:
        stored = state.membership[audience]
        entry: dict[str, Any] = {name: stored[name] for name in ("lastQualificationTime", "status")}
        if audience not in mapped(flow):
            return entry
        described = self.audiences.get(audience, {})
        mapping = mapped(flow)[audience]
        if option(flow, "includeSegmentNames", False) and described.get("name") is not None:
            entry["name"] = described["name"]
        if option(flow, "includeSegmentTimestamps", False):
            times = {
                "createdAt": described.get("createdAt"),
                "updatedAt": described.get("updatedAt"),
                "mappingCreatedAt": mapping.get("createdAt"),
                "mappingUpdatedAt": mapping.get("updatedAt"),
            }
            entry |= {name: milliseconds(time) for name, time in times.items() if time is not None}
        return entry

    def _policy(self, audience: AudienceKey) -> str:
        return self.audiences.get(audience, {}).get("mergePolicyId", "default")

    def _sent(
        self,
        record: ReadRecord,
        key: str,
        event: Event,
        version: int,
        flow: dict[str, Any],
        causes: list[str],
        data: dict[str, Any],
        profile: State,
    ) -> Sent:
        line = {
            "id": f"{record.topic}-{record.partition}-{record.offset}-{flow['id']}",
            "flow": flow["id"],
            "key": key,
            "time": format_time(event.time),
            "version": version,
            "causes": causes,
            "data": copy.deepcopy(data),
        }
        value = enveloped(line) if option(flow, "envelope", "none") == "cloudevents" else line["data"]
        return Sent(line, value, partition_key(flow, key, profile))


# ---- reading (I1 to I4) ----


def read_key(key: bytes | None) -> str:
    if key is None or not 1 <= len(key) <= 512:
        raise Unusable("bad_key")
    try:
        text = key.decode()
    except UnicodeDecodeError:
        raise Unusable("bad_key") from None
    require(not any(unicodedata.category(character) == "Cc" for character in text), "bad_key")
    require(text == text.strip(), "bad_key")
    require(not (text[0] in '"[{' and is_json_text(text)), "bad_key")
    return text


def is_json_text(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def read_event(record: ReadRecord) -> tuple[Event, Any]:
    """The event and its subject; of several faults the first in the order of I4 is told."""
    cloud_event = content_of(record)
    if cloud_event is None:
        read_key(record.key)
        return Event("", None, "profile.deleted", kafka_time(record), {}), None
    attributes = {name: value for name, value in cloud_event.items() if value is not None}
    require(is_cloud_event(attributes), "not_cloudevents")
    if attributes["type"] not in TYPES:
        raise Unusable("unknown_type")
    require(all(len(attributes[name].encode()) <= MAX_ATTRIBUTE_BYTES for name in ("id", "source")))
    time = read_time(attributes["time"]) if "time" in attributes else kafka_time(record)
    data = rename(read_data(attributes), OPAQUE_LEVELS)
    check_data(attributes["type"], data)
    return Event(attributes["source"], attributes["id"], attributes["type"], time, data), attributes.get("subject")


def is_cloud_event(attributes: Any) -> bool:
    if not isinstance(attributes, dict):
        return False
    return attributes.get("specversion") == "1.0" and all(
        isinstance(attributes.get(name), str) and attributes[name] for name in REQUIRED
    )


def content_of(record: ReadRecord) -> dict[str, Any] | None:
    """The event, whatever its content mode, as structured mode writes it; None: a tombstone (I10)."""
    in_headers, media_type = read_headers(record)
    says_json = media_type in ("", "application/json", "text/json") or media_type.endswith("+json")
    if record.value is None:
        require(not in_headers or is_cloud_event(in_headers), "not_cloudevents")
        return in_headers or None
    if in_headers and not media_type.startswith("application/cloudevents"):
        return binary_content(record.value, in_headers, says_json)
    try:
        content = read_json(record.value)
    except Unusable as unusable:
        is_other = (
            unusable.reason in ("not_utf8", "not_json") and not says_json and media_type != "application/cloudevents"
        )
        raise Unusable("not_cloudevents" if is_other else unusable.reason) from None
    require(isinstance(content, dict), "not_cloudevents")
    return dict(content)


def binary_content(value: bytes, in_headers: dict[str, Any], says_json: bool) -> dict[str, Any]:
    is_deletion = in_headers.get("type") == "profile.deleted"
    try:
        data = read_json(value)
    except Unusable:
        require(says_json, "not_cloudevents")
        if not is_deletion:
            raise
        data = None
    if is_cloud_event(data):
        return dict(data)
    require(says_json and is_cloud_event(in_headers), "not_cloudevents")
    if (
        isinstance(data, dict)
        and sorted(data) == ["payload", "schema"]
        and (data["schema"] is None or "type" in data["schema"])
    ):
        raise Unusable("not_cloudevents")
    holds_events = isinstance(data, list) and data and isinstance(data[0], dict) and "specversion" in data[0]
    require(is_deletion or not (holds_events or holds_json_text(data)), "not_cloudevents")
    return {**in_headers, "data": data}


def read_headers(record: ReadRecord) -> tuple[dict[str, Any], str]:
    """The attributes, if there is one that every event has, and the media type, "" for none."""
    attributes: dict[str, Any] = {}
    content_type = ""
    for name, value in record.headers:
        if name.lower() == "content-type":
            content_type = (value or b"").decode("latin-1")
        if name.lower().startswith("ce_") and value is not None:
            attribute = name[3:].lower()
            if attribute in (*REQUIRED, "subject", "time", "datacontenttype"):
                try:
                    text = value.decode()
                except UnicodeDecodeError:
                    raise Unusable("not_utf8") from None
                require(attributes.get(attribute, text) == text, "not_cloudevents")
                attributes[attribute] = text
    media_type = (content_type or attributes.pop("datacontenttype", "")).split(";")[0].strip().lower()
    return (attributes if set(REQUIRED) & set(attributes) else {}), media_type


def read_data(attributes: dict[str, Any]) -> Any:
    """`data`, or what `data_base64` holds; a text that is JSON was encoded twice."""
    data, encoded = attributes.get("data"), attributes.get("data_base64")
    if attributes["type"] == "profile.deleted":
        return data
    if encoded is not None:
        require(data is None, "not_cloudevents")
        media_type = str(attributes.get("datacontenttype", "")).split(";")[0].strip().lower()
        require(media_type in ("", "application/json", "text/json") or media_type.endswith("+json"), "not_cloudevents")
        require(
            isinstance(encoded, str)
            and re.fullmatch(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", encoded) is not None
        )
        data = read_json(base64.b64decode(encoded))
    require(not holds_json_text(data), "not_cloudevents")
    return data


def holds_json_text(data: Any) -> bool:
    return isinstance(data, str) and data[:1] in ("{", "[") and is_json_text(data)


def read_json(value: bytes) -> Any:
    while value.startswith(codecs.BOM_UTF8):
        value = value[3:]
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise Unusable("not_utf8") from None
    try:
        document = json.loads(text, parse_constant=refuse_constant, parse_int=whole_number, parse_float=double)
        json.dumps(document, ensure_ascii=False).encode()  # a lone surrogate is no text
    except RecursionError:
        raise Unusable("bad_shape") from None
    except ValueError:
        raise Unusable("not_json") from None
    return document


def refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def double(text: str) -> float:
    number = float(text)
    require(abs(number) != float("inf"), "bad_number")
    return number


def whole_number(text: str) -> int:
    double(text)
    return int(text)


def rename(value: Any, opaque_levels: dict[str, int], opaque: int = 0) -> Any:
    """I9: names without the prefix `xdm:`; in the members of `opaque_levels` so many levels of names are ids, and
    stay.
    """
    if isinstance(value, list):
        return [rename(each, {}) for each in value]
    if not isinstance(value, dict):
        return value
    if opaque:
        return {name: rename(each, {}, opaque - 1) for name, each in value.items()}
    spelled = {name.removeprefix("xdm:"): each for name, each in value.items()} | {
        name: each for name, each in value.items() if name[:4] != "xdm:"
    }
    return {name: rename(each, {}, opaque_levels.get(name, 0)) for name, each in spelled.items()}


def read_time(text: Any) -> datetime:
    match = TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise Unusable("bad_time")
    *local, zulu, sign, hours, minutes = match.groups()
    minutes = minutes or "0"
    if local[-1] == "60":
        local[-1] = "59"
    year, *rest = (int(part) for part in local)
    before = timedelta(days=0 if year else 146_097)  # datetime has no year 0, which is like 400
    try:
        moment = datetime(year or 400, *rest, tzinfo=UTC)  # type: ignore[misc,arg-type]  # five ints, by the pattern
        if zulu:
            return moment - before
        if int(hours) > 23 or int(minutes) > 59:
            raise Unusable("bad_time")
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        return (moment - offset if sign == "+" else moment + offset) - before
    except (ValueError, OverflowError):
        raise Unusable("bad_time") from None


def kafka_time(record: ReadRecord) -> datetime:
    if record.timestamp is None:
        raise Unusable("bad_time")
    try:
        return EPOCH + timedelta(seconds=record.timestamp // 1000)
    except OverflowError:
        raise Unusable("bad_time") from None


def format_time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def milliseconds(time: str | datetime) -> int:
    moment = read_time(time) if isinstance(time, str) else time.astimezone(UTC)
    return int((moment.replace(microsecond=0) - EPOCH) / timedelta(milliseconds=1))


def check_data(event_type: str, data: Any) -> None:
    if event_type == "profile.deleted":
        return
    require(isinstance(data, dict) and depth(data) <= MAX_NESTING)
    if event_type == "profile.merged":
        into = data.get("into")
        require(isinstance(into, str) and 1 <= len(into.encode()) <= 512)
    elif event_type == "membership.expired":
        for name in ("exit", "purge"):
            check_audience_list(data.get(name))
    else:
        check_document(data)


def require(holds: bool, reason: str = "bad_shape") -> None:
    if not holds:
        raise Unusable(reason)


def depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        deepest += 1
        level = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
    return deepest


def check_audience_list(listed: Any) -> None:
    require(listed is None or isinstance(listed, list))
    for each in listed or []:
        require(isinstance(each, dict))
        require(isinstance(each.get("namespace"), str) and isinstance(each.get("id"), str))


def check_document(data: dict[str, Any]) -> None:
    """Raises Unusable; takes out what is as not written (I9)."""
    for name in NOT_ATTRIBUTES:
        if isinstance(data.get(name), dict):
            data[name].pop("", None)
    entries = list(entries_of(data.get("segmentMembership")))
    check_identities(data.get("identityMap"))
    for entry in entries:
        if "status" in entry:
            require(entry["status"] in list(STATUSES), "bad_status")
        else:
            require(not {"status", "state"} & {name.strip().casefold() for name in entry}, "bad_status")
    for entry in entries:
        for name in ("lastQualificationTime", "validUntil"):
            if entry.get(name) is not None:
                read_time(entry[name])
        if entry.get("lastQualificationTime") is not None and read_time(entry["lastQualificationTime"]) < EPOCH:
            del entry["lastQualificationTime"]
    check_numbers(data)


def check_numbers(value: Any) -> None:
    """I13."""
    if isinstance(value, int):
        require(-(2**63) <= value < 2**64, "bad_number")
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        check_numbers(each)


def entries_of(membership: Any) -> Iterator[dict[str, Any]]:
    require(membership is None or isinstance(membership, dict))
    for namespace in (membership or {}).values():
        require(namespace is None or (isinstance(namespace, dict) and "" not in namespace))
        for entry in (namespace or {}).values():
            require(entry is None or isinstance(entry, dict))
            if entry is not None:
                yield entry


def check_identities(identities: Any) -> None:
    require(identities is None or isinstance(identities, dict))
    for listed in (identities or {}).values():
        require(listed is None or isinstance(listed, list))
        for each in listed or []:
            require(isinstance(each, dict) and isinstance(each.get("id"), str))
        if listed:
            listed[:] = [each for each in listed if each["id"]]


# ---- folding (I2, I3, I7, F5) ----


def fold(before: State, event: Event) -> State | None:
    """The profile after the event; None: it is gone."""
    if event.type in ("profile.deleted", "profile.merged"):
        return None
    if event.type == "membership.expired":
        return fold_expiry(before, event)
    data = copy.deepcopy(event.data)
    membership, identities = (data.pop(name, ABSENT) for name in NOT_ATTRIBUTES)
    if event.type == "profile.replaced":
        return State(
            attributes=merge_patch({}, data),
            membership=replace_membership(before, {} if membership is ABSENT else membership, event.time),
            identities=patch_identities({}, {} if identities is ABSENT else identities),
        )
    return State(
        attributes=merge_patch(before.attributes, data),
        membership=patch_membership(before, {} if membership is ABSENT else membership, event.time),
        identities=patch_identities(before.identities, {} if identities is ABSENT else identities),
    )


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2, word by word."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = copy.deepcopy(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def patch_membership(before: State, patch: Any, now: datetime) -> dict[AudienceKey, dict[str, Any]]:
    after = copy.deepcopy(before.membership)
    if patch is None:
        patch = {namespace: None for namespace, _ in before.membership}
    for namespace, given in patch.items():
        everything = {audience_id: None for each, audience_id in before.membership if each == namespace}
        for audience_id, entry in (everything if given is None else given).items():
            key = (namespace, audience_id)
            if entry is None:
                leave(after, key, now)
            else:
                after[key] = patch_entry(before.membership.get(key), entry, now)
    return after


def leave(membership: dict[AudienceKey, dict[str, Any]], key: AudienceKey, now: datetime) -> None:
    """I7: a realized entry does not vanish, it exits; an exited or absent one is removed."""
    gone = membership.pop(key, None)
    if gone is not None and gone["status"] == "realized":
        membership[key] = {"status": "exited", "lastQualificationTime": format_time(now)}


def patch_entry(old: dict[str, Any] | None, patch: dict[str, Any], now: datetime) -> dict[str, Any]:
    entry: dict[str, Any] = merge_patch(old, patch)
    entry["status"] = STATUSES[entry.get("status", "realized")]
    changed = old is not None and old["status"] != entry["status"]
    if entry["status"] == "exited" or (changed and "validUntil" not in patch):
        entry.pop("validUntil", None)
    if "lastQualificationTime" not in entry or (changed and "lastQualificationTime" not in patch):
        entry["lastQualificationTime"] = format_time(now)
    entry["lastQualificationTime"] = format_time(read_time(entry["lastQualificationTime"]))
    return entry


def replace_membership(before: State, given: Any, now: datetime) -> dict[AudienceKey, dict[str, Any]]:
    after = {
        (namespace, audience_id): patch_entry(None, entry, now)
        for namespace, entries in (given or {}).items()
        for audience_id, entry in (entries or {}).items()
        if entry is not None
    }
    for key, entry in before.membership.items():
        if key not in after and entry["status"] == "realized":
            after[key] = {"status": "exited", "lastQualificationTime": format_time(now)}
    return after


def patch_identities(before: dict[str, Any], patch: Any) -> dict[str, Any]:
    if patch is None:
        return {}
    after = copy.deepcopy(before)
    for namespace, listed in patch.items():
        after.pop(namespace, None)
        if listed:
            after[namespace] = copy.deepcopy(listed)
    return after


def fold_expiry(before: State, event: Event) -> State:
    membership: dict[AudienceKey, Any] = copy.deepcopy(before.membership)
    for key in audience_list(event.data.get("exit")):
        entry = membership.get(key)
        if entry is not None and entry["status"] == "realized" and is_past(key, entry, event.time):
            membership[key] = {"status": "exited", "lastQualificationTime": format_time(event.time)}
    for key in audience_list(event.data.get("purge")):
        entry = membership.get(key)
        exited = entry is not None and entry["status"] == "exited"
        if exited and event.time - read_time(entry["lastQualificationTime"]) > THIRTY_DAYS:
            del membership[key]
    return State(copy.deepcopy(before.attributes), membership, copy.deepcopy(before.identities))


def audience_list(listed: Any) -> list[AudienceKey]:
    return [(each["namespace"], each["id"]) for each in listed or []]


def is_past(key: AudienceKey, entry: dict[str, Any], now: datetime) -> bool:
    if "validUntil" in entry and read_time(entry["validUntil"]) >= read_time(entry["lastQualificationTime"]):
        return read_time(entry["validUntil"]) <= now
    return key[0] != "ups" and now - read_time(entry["lastQualificationTime"]) >= THIRTY_DAYS


# ---- consent (F6) ----


def gates(flow: dict[str, Any]) -> list[str]:
    gate = option(flow, "consentGate", None)
    return [gate] if isinstance(gate, str) else gate or []


def is_opted_out(flow: dict[str, Any], state: State) -> bool:
    found = [look_up(state.attributes, tuple(dotted.split("."))) for dotted in gates(flow)]
    return not all(is_consent(value) for value in found if value is not ABSENT)


def is_consent(value: Any) -> bool:
    said = value.get("val") if isinstance(value, dict) else value
    return said is True or (isinstance(said, str) and said.strip().lower() in CONSENTS)


def as_seen(flow: dict[str, Any], before: State, after: State | None, event: Event) -> tuple[State, State | None]:
    """What a flow with a gate may see: who is opted out has left every mapped audience, when it opted out or was in
    last.
    """
    was_out = is_opted_out(flow, before)
    if after is not None and is_opted_out(flow, after):
        after = out_of(flow, after, None if was_out else event.time)
    return (out_of(flow, before, None) if was_out else before), after


def out_of(flow: dict[str, Any], state: State, left_at: datetime | None) -> State:
    seen = copy.deepcopy(state)
    for audience in mapped(flow):
        if seen.status(audience) == "realized":
            seen.membership[audience]["status"] = "exited"
            if left_at is not None:
                seen.membership[audience]["lastQualificationTime"] = format_time(left_at)
    return seen


# ---- deciding (A1 to A13) ----


def option(flow: dict[str, Any], name: str, default: Any) -> Any:
    return (flow.get("options") or {}).get(name, default)


def is_enabled(flow: dict[str, Any]) -> bool:
    return bool(flow.get("state", "enabled") == "enabled")


def mapped(flow: dict[str, Any]) -> dict[AudienceKey, dict[str, Any]]:
    return {(each["namespace"], each["id"]): each for each in flow.get("audiences") or []}


def mapped_paths(flow: dict[str, Any]) -> list[str]:
    return [
        path for path in map(without_prefix, flow.get("attributes") or []) if path.split(".")[0] not in NOT_ATTRIBUTES
    ]


def without_prefix(path: str) -> str:
    """M5: the prefix of any segment is dropped."""
    return ".".join(segment.removeprefix("xdm:") for segment in path.split("."))


def segment_cause(audience: AudienceKey, status: str) -> str:
    return f"segment:{audience[0]}/{audience[1]}:{status}"


def transition(before: State, after: State, audience: AudienceKey) -> str | None:
    old, new = before.status(audience), after.status(audience)
    if new == "realized" and old != "realized":
        return "realized"
    if new == "exited" and old == "realized":
        return "exited"
    return None


def find_causes(flow: dict[str, Any], before: State, after: State, event: Event) -> list[str]:
    moved = [(audience, transition(before, after, audience)) for audience in mapped(flow)]
    causes = [segment_cause(audience, status) for audience, status in moved if status]
    if gate_is_open(flow, after):
        causes += [f"identity:{namespace}" for namespace in changed_namespaces(before, after)]
        causes += [f"attribute:{path}" for path in mapped_paths(flow) if is_cause(flow, path, before, after, event)]
    return sorted(causes)


def gate_is_open(flow: dict[str, Any], after: State) -> bool:
    statuses = [after.status(audience) for audience in mapped(flow)]
    gate = option(flow, "membershipGate", "realized")
    return bool({"none": True, "realized": "realized" in statuses, "everQualified": any(statuses)}[gate])


def changed_namespaces(before: State, after: State) -> list[str]:
    namespaces = set(before.identities) | set(after.identities)
    return [n for n in namespaces if not same_items(before.identities.get(n, []), after.identities.get(n, []))]


def same_items(one: list[Any], other: list[Any]) -> bool:
    left = list(other)
    for item in one:
        found = [index for index, each in enumerate(left) if same_json(item, each)]
        if not found:
            return False
        del left[found[0]]
    return not left


def same_json(one: Any, other: Any) -> bool:
    """Equality of JSON values: 1 = 1.0, true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same_json(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def is_cause(flow: dict[str, Any], dotted: str, before: State, after: State, event: Event) -> bool:
    path = tuple(dotted.split("."))
    old, new = look_up(before.attributes, path), look_up(after.attributes, path)
    if old is ABSENT and new is ABSENT:
        return False
    changed = old is ABSENT or new is ABSENT or not same_json(old, new)
    if option(flow, "suppressUnchanged", False) or event.type == "membership.expired":
        return changed
    if event.type == "profile.replaced" or changed:
        return True
    patch = {name: value for name, value in event.data.items() if name not in NOT_ATTRIBUTES}
    return any(on_one_line(written, path) for written in patch_writes(before.attributes, patch))


def look_up(document: Any, path: Path) -> Any:
    for segment in path:
        if not isinstance(document, dict) or segment not in document:
            return ABSENT
        document = document[segment]
    return document


def on_one_line(one: Path, other: Path) -> bool:
    """Whether one of the two is the other, or lies below it."""
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]


def patch_writes(before: dict[str, Any], patch: dict[str, Any], above: Path = ()) -> Iterator[Path]:
    """Where a merge patch writes: its leaves, and maps that take the place of what is no map; not a null over
    nothing.
    """
    for name, value in patch.items():
        path, old = (*above, name), before.get(name, ABSENT)
        if value is None and old is ABSENT:
            continue
        if isinstance(value, dict) and isinstance(old, dict):
            yield from patch_writes(old, value, path)
        else:
            yield path


def why_nothing(flow: dict[str, Any], before: State, after: State | None, event: Event) -> str:
    """The word of section 7 for a flow that sends nothing: what would have to be otherwise, so that it did."""
    if not is_enabled(flow):
        return "flow_disabled"
    if gates(flow) and would_send(flow, before, after, event):
        return "consent"
    if event.type == "profile.merged":
        return "merged_silently"
    if after is None:
        if not any(before.status(audience) == "realized" for audience in mapped(flow)):
            return "not_a_member"
        return "deleted_silently" if option(flow, "onDelete", "export") == "silent" else "trigger_off"
    if find_causes(flow, before, after, event):
        return "trigger_off"
    ungated = {**flow, "options": {**(flow.get("options") or {}), "membershipGate": "none"}}
    if find_causes(ungated, before, after, event):
        return "not_a_member"
    with_repeats = {**flow, "options": {**ungated["options"], "suppressUnchanged": False}}
    return "unchanged" if find_causes(with_repeats, before, after, event) else "nothing_mapped_changed"


def would_send(flow: dict[str, Any], before: State, after: State | None, event: Event) -> bool:
    """Whether a flow without its gate would send something."""
    if event.type == "profile.merged":
        return False
    if after is None:
        left = [segment_cause(audience, "exited") for audience in mapped(flow) if before.status(audience) == "realized"]
        return option(flow, "onDelete", "export") != "silent" and any(trigger_is_on(flow, cause) for cause in left)
    return any(trigger_is_on(flow, cause) for cause in find_causes(flow, before, after, event))


def trigger_is_on(flow: dict[str, Any], cause: str) -> bool:
    triggers = option(flow, "triggers", None) or {}
    if cause.startswith("attribute:"):
        name = "attributes"
    elif cause.startswith("identity:"):
        name = "identities"
    else:
        name = "segments" if cause.startswith("segment:ups/") else "externalSegments"
    return bool(triggers.get(name, True))


# ---- rendering (B1 to B3, D1, D2, G5) ----


def render_attributes(flow: dict[str, Any], state: State) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for dotted in sorted(mapped_paths(flow), key=len):  # a mapped map first, what is mapped below it is the same value
        path = tuple(dotted.split("."))
        value = look_up(state.attributes, path)
        if value is ABSENT or (isinstance(value, list) and not option(flow, "allowArrays", False)):
            continue
        parent = result
        for segment in path[:-1]:
            parent = parent.setdefault(segment, {})
        parent[path[-1]] = copy.deepcopy(value)
    return result


def render_identities(flow: dict[str, Any], state: State) -> dict[str, Any]:
    whole = option(flow, "identityFields", "id") == "all"
    result: dict[str, Any] = {}
    for namespace in sorted(state.identities):
        name = namespace.lower() if option(flow, "lowercaseNamespaces", False) else namespace
        items = [copy.deepcopy(item) if whole else {"id": item["id"]} for item in state.identities[namespace]]
        result.setdefault(name, []).extend(items)
    return result


def enveloped(line: Line) -> dict[str, Any]:
    """D2; `causes` is the JSON array as a string, here in Python's spelling: compare it parsed."""
    return {
        "specversion": "1.0",
        "id": line["id"],
        "source": f"/flows/{line['flow']}",
        "type": "profile.exported",
        "subject": line["key"],
        "time": line["time"],
        "profileversion": line["version"],
        "causes": json.dumps(line["causes"], ensure_ascii=False),
        "datacontenttype": "application/json",
        "data": line["data"],
    }


def partition_key(flow: dict[str, Any], key: str, profile: State) -> str:
    kind, _, argument = option(flow, "partitionKey", "profileId").partition(":")
    wanted = ""
    if kind == "identity" and (listed := profile.identities.get(argument)):
        primary = [item for item in listed if item.get("primary") is True]
        wanted = (primary or listed)[0]["id"]
    if kind == "attribute":
        value = look_up(profile.attributes, tuple(without_prefix(argument).split(".")))
        if isinstance(value, str):
            wanted = value
        elif isinstance(value, bool | int | float):
            wanted = json.dumps(value)
    wanted = wanted or key
    return wanted if len(wanted) <= 256 else hashlib.sha256(wanted.encode()).hexdigest()
