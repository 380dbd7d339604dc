"""Random histories and flows: few names, so that everything collides with everything.

Times come from a small pool around the edges of the 30 days; attributes from a small tree whose nodes are scalars, maps
and arrays in turn; ids of events repeat; some events are bad in exactly one way.
"""

import base64
import json
from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import Any

from hypothesis import strategies as st

from processor.core.catalog import FEW_FLOWS
from schemas.kafka import ReadRecord

PROFILES = ("p-1", "p-2", "ключ-3")
AUDIENCES = (("ups", "a"), ("ups", "b"), ("ups", "ç"), ("CustomerAudienceUpload", "csv"), ("ext", "a"))
NAMESPACES = ("ECID", "ecid", "Email")
NAMES = ("person", "name", "first", "_acme", "ключ")
PATHS = ("person", "person.name", "person.name.first", "person.first", "_acme", "_acme.name", "ключ.first", "name")
PREFIXED = ("xdm:person.xdm:name", "person.xdm:first", "xdm:_acme.name", "xdm:name")
NO_EFFECT = ("segmentMembership.ups", "identityMap", "identityMap.ECID")
OFTEN, SOMETIMES = 4, 1

TIMES = (
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00.999Z",
    "2026-01-01T02:00:01+02:00",
    "2025-12-31T18:30:00-0530",
    "2026-01-02T00:00:00+00:00",
    "2026-01-30T23:59:59Z",
    "2026-01-31T00:00:00Z",
    "2026-01-31T00:00:00.5Z",
    "2026-01-31T00:00:01Z",
    "2026-01-31T09:30:01+0930",
    "2026-03-02T00:00:00Z",
    "2026-03-02T00:00:01Z",
    "2027-01-01T00:00:00Z",
    "2026-01-31 00:00:01z",
    "2026-01-30t23:59:60Z",
    "2026-01-31T02:00:00.25+02",
    "2026-01-30 18:29:60-0530",
)
times = st.sampled_from(TIMES)
ZERO_TIMES = ("0001-01-01T00:00:00Z", "1969-12-31T23:59:59.9Z", "1970-01-01T00:59:59+01:00", "1970-01-01T00:00:00Z")
times_of_entries = st.sampled_from(TIMES * 2 + ZERO_TIMES)
TIMESTAMPS = (1_767_225_600_000, 1_767_225_600_999, 1_769_817_600_000, 1_769_817_601_000, 1_772_409_600_500)
timestamps = st.sampled_from(TIMESTAMPS)

scalars = st.sampled_from(
    [0, 1, 1.0, 1.5, -1, True, False, "", "x", "1", "ß€😀", 10**15, 2**63 - 1, 2**64 - 1, -(2**63), 1e300, -0.0, "in"]
)
arrays = st.sampled_from([[], [1], [1.0], [True], [None], [{"name": None, "first": 1}], [[{}]]])
leaves = st.one_of(scalars, scalars, arrays)


def _weighted(*choices: tuple[int, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    return st.one_of(*(each for weight, each in choices for _ in range(weight)))


def _maps(values: st.SearchStrategy[Any], max_size: int = 3) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(NAMES), values, max_size=max_size)


def _trees(nulls: bool) -> st.SearchStrategy[Any]:
    leaf = _weighted((OFTEN, leaves), (SOMETIMES, st.none())) if nulls else leaves
    below = _weighted((2, leaf), (1, _maps(leaf)))
    return _weighted((1, leaf), (2, _maps(below)))


patches = _maps(_trees(nulls=True))
entries = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["realized", "realized", "exited", "exited", "existing", "exiting"]),
        "lastQualificationTime": _weighted((OFTEN, times_of_entries), (SOMETIMES, st.none())),
        "validUntil": _weighted((OFTEN, times_of_entries), (SOMETIMES, st.none())),
        "version": st.sampled_from(["1", 2, None]),
        "payload": st.sampled_from([{"type": "boolean", "value": True}, {"value": None}, {}]),
    },
)


@st.composite
def memberships(draw: st.DrawFn) -> Any:
    """`segmentMembership` of a patch or a document: null, empty, or entries, nulls over entries and namespaces."""
    if draw(st.integers(0, 14)) == 0:
        return None
    result: dict[str, Any] = {}
    odd = entries.map(lambda entry: {"status": "realized", **entry, "Status": "exited", "state": 2.0**64})
    entry = _weighted((5 * OFTEN, entries), (5 * SOMETIMES, st.none()), (1, odd))
    for namespace, audience_id in draw(st.lists(st.sampled_from(AUDIENCES), unique=True, max_size=3)):
        result.setdefault(namespace, {})[audience_id] = draw(entry)
    if draw(st.integers(0, 9)) == 0:
        result[draw(st.sampled_from(["ups", "ext", "nowhere"]))] = draw(st.sampled_from([None, {}]))
    if draw(st.integers(0, 19)) == 0:
        result[""] = draw(st.sampled_from([None, {"a": {}}, {"": 2**64}, "anything"]))
    return result


identities = st.fixed_dictionaries(
    {"id": st.sampled_from(["1", "1", "2", "2", "é", "x" * 300, ""])},
    optional={
        "primary": st.booleans(),
        "authenticatedState": st.sampled_from(["ambiguous", "loggedOut"]),
        "weight": st.sampled_from([1, 1.0, 2, [None]]),
    },
)
identity_maps = _weighted(
    (
        12,
        st.dictionaries(
            st.sampled_from(NAMESPACES * 3 + ("",)),
            _weighted((OFTEN, st.lists(identities, max_size=3)), (SOMETIMES, st.none())),
            max_size=2,
        ),
    ),
    (1, st.none()),
)


said = st.sampled_from(
    [
        "y",
        "y",
        "n",
        "n",
        " LI ",
        "dn",
        True,
        False,
        "",
        "yes",
        1,
        [],
        ["y"],
        {},
        {"val": "In"},
        {"val": "u"},
        {"val": True},
        None,
    ]
)
consents = st.fixed_dictionaries({}, optional={"push": said, "any": said})
CONSENTS = ("consents.push", "consents.any", "consents.push.val", "optInOut", "person.first")
OPAQUE_LEVELS = {"segmentMembership": 2, "identityMap": 1}


def spelled(value: Any, dice: Random, opaque_levels: Mapping[str, int] = MappingProxyType({}), opaque: int = 0) -> Any:
    """`value` with some names in XDM's spelling, some in both; the names of `opaque` levels are ids, those below a name
    by `opaque_levels`.
    """
    if isinstance(value, list):
        return [spelled(item, dice) for item in value]
    if not isinstance(value, dict):
        return value
    if opaque:
        return {name: spelled(item, dice, opaque=opaque - 1) for name, item in value.items()}
    result: dict[str, Any] = {}
    for name, item in value.items():
        inside = spelled(item, dice, opaque=opaque_levels.get(name, 0))
        fate = dice.random()
        if fate < 0.45:
            result[f"xdm:{name}"] = inside
        else:
            other = {f"xdm:{name}": dice.choice([None, 2**64, "nobody's", {"xdm:": 1}])} if fate < 0.55 else {}
            plain = {name: inside}
            result |= other | plain if fate < 0.5 else plain | other
    return result


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """`data` of a patch or a replacement, in one spelling or the other."""
    return draw(_in_some_spelling(_plain_documents(), OPAQUE_LEVELS))


@st.composite
def _in_some_spelling(
    draw: st.DrawFn, plain: st.SearchStrategy[Any], opaque_levels: Mapping[str, int] = MappingProxyType({})
) -> Any:
    data = draw(plain)
    return data if draw(st.integers(0, 3)) else spelled(data, draw(st.randoms(use_true_random=False)), opaque_levels)


@st.composite
def _plain_documents(draw: st.DrawFn) -> dict[str, Any]:
    data = dict(draw(patches)) if draw(st.booleans()) else {}
    if draw(st.integers(0, 4)) == 0:
        data["consents"] = draw(consents)
    if draw(st.integers(0, 9)) == 0:
        data["optInOut"] = draw(said)
    if draw(st.integers(0, 2)):
        data["segmentMembership"] = draw(memberships())
    if draw(st.integers(0, 3)) == 0:
        data["identityMap"] = draw(identity_maps)
    return data


audience_lists = st.lists(
    st.sampled_from([{"namespace": namespace, "id": audience_id} for namespace, audience_id in AUDIENCES]), max_size=5
)
expiries = st.fixed_dictionaries({}, optional={"exit": audience_lists, "purge": audience_lists})


sources = st.sampled_from(["/x", "/x", "/y", "e-1"])


@st.composite
def cloud_events(draw: st.DrawFn, key: str) -> dict[str, Any]:
    """A good event on the profile `key`, with or without subject and time."""
    kind = draw(
        _weighted(
            (12, st.just("profile.patched")),
            (3, st.just("profile.replaced")),
            (2, st.just("membership.expired")),
            (1, st.just("profile.deleted")),
            (1, st.just("profile.merged")),
        )
    )
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"e-{draw(st.integers(0, 15))}",
        "source": draw(sources),
        "type": kind,
    }
    if draw(st.booleans()):
        event["subject"] = draw(st.sampled_from([key, key, None]))
    if draw(st.integers(0, 4)):
        event["time"] = draw(_weighted((9, times), (1, st.none())))
    if kind in ("profile.patched", "profile.replaced"):
        event["data"] = draw(documents())
    elif kind == "membership.expired":
        event["data"] = draw(_in_some_spelling(expiries))
    elif kind == "profile.merged":
        into = st.sampled_from([each for each in PROFILES if each != key])
        event["data"] = draw(_in_some_spelling(st.fixed_dictionaries({"into": into})))
    elif draw(st.booleans()):
        event["data"] = draw(st.sampled_from([None, {}, 5, {"segmentMembership": []}]))
    return event


def spoil(event: dict[str, Any], how: dict[str, Any]) -> dict[str, Any]:
    """`event` with some attributes set to what they must not be, and good in every other way."""
    return {**event, **how}


FAULTS: tuple[dict[str, Any], ...] = (
    {"specversion": "0.3"},
    {"specversion": None},
    {"id": ""},
    {"id": 5},
    {"source": None},
    {"id": "x" * 1025},
    {"source": "é" * 513},
    {"type": None},
    {"type": "profile.renamed"},
    {"subject": "someone else"},
    {"time": "yesterday"},
    {"time": "2026-02-30T00:00:00Z"},
    {"time": "2026-01-31T00:00:61Z"},
    {"time": "2026-01-31T00:00:00+2"},
    {"time": 1_767_225_600},
    {"type": "profile.patched", "data": None},
    {"type": "profile.patched", "data": [1]},
    {"type": "profile.replaced", "data": "text"},
    {"type": "profile.patched", "data": {"segmentMembership": []}},
    {"type": "profile.patched", "data": {"person": 1, "segmentMembership": {"ups": {"a": "realized"}}}},
    {"type": "profile.patched", "data": {"person": 1, "segmentMembership": {"ups": {"a": {"status": "maybe"}}}}},
    {"type": "profile.replaced", "data": {"segmentMembership": {"ups": {"a": {"validUntil": "2026-01-01"}}}}},
    {"type": "profile.patched", "data": {"segmentMembership": {"ups": {"a": {"lastQualificationTime": "now"}}}}},
    {"type": "profile.patched", "data": {"identityMap": {"ECID": {"id": "1"}}}},
    {"type": "profile.patched", "data": {"identityMap": {"ECID": [{"primary": True}]}}},
    {"type": "profile.patched", "data": '{"person": 1}'},
    {"type": "profile.patched", "data_base64": "e30="},
    {"type": "profile.patched", "data": None, "data_base64": "e30"},
    {"type": "profile.patched", "data": None, "data_base64": 5},
    {"type": "profile.patched", "data": None, "data_base64": "bm8gSlNPTg=="},
    {"type": "profile.patched", "data": None, "data_base64": "WzFd"},
    {"type": "profile.patched", "data": None, "data_base64": "e30=", "datacontenttype": "application/avro"},
    {"type": "profile.merged", "data": {}},
    {"type": "profile.merged", "data": {"into": 5}},
    {"type": "membership.expired", "data": {"exit": [{"namespace": "ups"}]}},
    {"type": "membership.expired", "data": {"purge": {}}},
    {"type": "profile.patched", "data": {"person": 1, "segmentMembership": {"ups": {"a": {"status": None}}}}},
    {"type": "profile.patched", "data": {"person": 1, "segmentMembership": {"ups": {"a": {"sTatus": "realized"}}}}},
    {"type": "profile.replaced", "data": {"xdm:segmentMembership": {"ups": {"a": {"xdm:state": "exited"}}}}},
    {"type": "profile.replaced", "data": {"segmentMembership": {"ups": {"": None}}}},
    {"type": "profile.patched", "data": {"person": {"name": 2**64}}},
    {"type": "profile.patched", "data": {"person": [[-(2**63) - 1]]}},
    {"type": "profile.patched", "data": {"identityMap": {"ECID": [{"id": "1", "weight": 10**300}]}}},
    {
        "type": "profile.replaced",
        "data": {"xdm:segmentMembership": {"xdm:ups": {"a": {"payload": {"value": [2**64]}}}}},
    },
)
TOO_LARGE = (b'{"a":1e400}', b'{"a":1' + b"0" * 309 + b"}")
RUBBISH = (
    b"",
    b"\xff\xfe",
    b"{",
    b"nul",
    b'{"a":NaN}',
    b'"\\ud800"',
    b"[]",
    b"5",
    b"null",
    b"\xef\xbb\xbf{}",
    b"\xef\xbb\xbf",
    b"\0\0\0\1\7{",
)
RUBBISH += TOO_LARGE
BAD_KEYS = (
    None,
    b"",
    b"k" * 513,
    b'"p-1"',
    b'{"id":1}',
    b"[1]",
    b"p-1\n",
    b"\0\0\0*",
    b"p\xc2\x85",
    b" p-1",
    "p-1\u3000".encode(),
)
ODD_KEYS = (b"{p-1}", b'"p', b"[p", b'p-1"', b"a b", b"null", "a\u00a0b".encode())
"""Ids all the same (I11)."""
Headers = tuple[tuple[str, bytes | None], ...]
NOISE: tuple[Headers, ...] = (
    (),
    (),
    (),
    (("traceparent", b"00-ab"), ("retries", b"2")),
    (("content-type", b"application/cloudevents+json; charset=UTF-8"),),
    (("content-type", b"application/json"),),
    (("ce_traceparent", b"00-ab"), ("custom", None)),
)
"""Headers that say nothing against structured mode."""
CONTENT_TYPES: tuple[Headers, ...] = (
    (),
    (("content-type", b"application/json"),),
    (("Content-Type", b"Application/JSON; charset=utf-8"),),
    (("content-type", b"application/vnd.acme+json"), ("x", b"\xff")),
    (("content-type", b"application/avro"), ("content-type", b"text/json")),
)
BAD_HEADERS: tuple[Headers, ...] = (
    (("content-type", b"text/plain"),),
    (("ce_id", b"another"),),
    (("ce_source", b"\xff"),),
    (("CE_SPECVERSION", b"0.3"),),
    (("ce_subject", b""),),
    (("ce_time", b"yesterday"),),
)


@st.composite
def contents(draw: st.DrawFn, key: str) -> tuple[bytes | None, Headers]:
    """The value of a record and its headers: nearly always a good event, in one of the content modes."""
    kind = draw(st.integers(0, 39))
    if kind == 0:
        return None, draw(st.sampled_from(NOISE))
    if kind == 1:
        return draw(st.sampled_from(RUBBISH)), draw(st.sampled_from((*NOISE, *BAD_HEADERS)))
    event = draw(cloud_events(key))
    if kind in (2, 3):
        event = spoil(event, draw(st.sampled_from(FAULTS)))
    ascii_only = draw(st.booleans())
    mode = draw(st.integers(0, 9))
    if mode == 0 and "data_base64" not in event:
        encoded = base64.b64encode(json.dumps(event.pop("data", None), ensure_ascii=ascii_only).encode()).decode()
        event |= {"data_base64": encoded, "datacontenttype": "application/json"}
    if mode in (1, 2, 3) and all(isinstance(event.get(name), str | None) for name in ATTRIBUTES):
        value, headers = in_binary_mode(event, ascii_only)
        bad = draw(st.sampled_from(BAD_HEADERS)) if draw(st.integers(0, 9)) == 0 else ()
        return value, (*draw(st.sampled_from(CONTENT_TYPES)), *headers, *bad)
    mark = b"\xef\xbb\xbf" if draw(st.integers(0, 9)) == 0 else b""
    return mark + json.dumps(event, ensure_ascii=ascii_only).encode(), draw(st.sampled_from(NOISE))


ATTRIBUTES = ("specversion", "id", "source", "type", "subject", "time")


def in_binary_mode(event: dict[str, Any], ascii_only: bool = False) -> tuple[bytes | None, Headers]:
    """Value and headers of an event in CloudEvents' binary mode; an attribute that is null is a header that is null."""
    headers = tuple(
        (f"ce_{name}", None if event[name] is None else event[name].encode()) for name in ATTRIBUTES if name in event
    )
    data = event.get("data")
    return (None if data is None else json.dumps(data, ensure_ascii=ascii_only).encode()), headers


@st.composite
def histories(draw: st.DrawFn, min_size: int = 1, max_size: int = 14) -> list[ReadRecord]:
    """Records of two partitions; a profile stays on its own, but now and then (I12).

    Some offsets repeat or fall back, as after a re-read.
    """
    records: list[ReadRecord] = []
    offsets = [0, 0]
    for _ in range(draw(st.integers(min_size, max_size))):
        key = draw(_weighted((4, st.just(PROFILES[0])), (1, st.sampled_from(PROFILES))))
        partition = draw(_weighted((9, st.just(PROFILES.index(key) % 2)), (1, st.integers(0, 1))))
        timestamp = draw(_weighted((9, timestamps), (1, st.none())))
        key_bytes = draw(_weighted((29, st.just(key.encode())), (1, st.sampled_from(BAD_KEYS + ODD_KEYS))))
        step = draw(st.sampled_from([1, 1, 1, 1, 1, 1, 1, 1, 0, -1, 3]))
        offsets[partition] += step
        offset = max(0, offsets[partition])
        records.append(ReadRecord("profile-events", partition, offset, timestamp, key_bytes, *draw(contents(key))))
        offsets[partition] = max(offsets[partition], *(r.offset for r in records if r.partition == partition))
    return records


described_audiences = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["A", "Ünïcode", ""]),
        "description": st.just("said"),
        "mergePolicyId": st.sampled_from(["mp-1", "mp-2", "default"]),
        "origin": st.just("here"),
        "createdAt": times,
        "updatedAt": times,
    },
)
options = st.fixed_dictionaries(
    {},
    optional={
        "includeSegmentNames": st.booleans(),
        "includeSegmentTimestamps": st.booleans(),
        "suppressUnchanged": st.booleans(),
        "allowArrays": st.booleans(),
        "membershipGate": st.sampled_from(["realized", "everQualified", "none"]),
        "membershipScope": st.sampled_from(["adobe", "mapped", "all"]),
        "identityFields": st.sampled_from(["id", "all"]),
        "lowercaseNamespaces": st.booleans(),
        "envelope": st.sampled_from(["none", "cloudevents"]),
        "partitionKey": st.sampled_from(
            ["profileId", "identity:ECID", "identity:Phone", "attribute:person.name", "attribute:xdm:name"]
        ),
        "triggers": st.fixed_dictionaries(
            {},
            optional={name: st.booleans() for name in ("attributes", "segments", "externalSegments", "identities")},
        ),
        "onDelete": st.sampled_from(["export", "silent"]),
        "emitExitOnUnmap": st.just(False),
        "onResume": st.just("catchup"),
        "consentGate": st.none() | st.sampled_from(CONSENTS) | st.lists(st.sampled_from(CONSENTS), max_size=3),
    },
)
DESTINATION = {"type": "kinesis", "stream": "vip-profiles", "region": "us-east-2"}


@st.composite
def flows(draw: st.DrawFn, flow_id: str, most_audiences: int = 4, most_attributes: int = 5) -> dict[str, Any]:
    """A flow as contract 4b writes it."""
    mappings = st.fixed_dictionaries({}, optional={"createdAt": times, "updatedAt": times})
    keys = draw(st.lists(st.sampled_from(AUDIENCES), unique=True, max_size=most_audiences))
    attributes = st.sampled_from(PATHS + PATHS + NO_EFFECT + PREFIXED)
    return {
        "id": flow_id,
        "name": flow_id,
        "state": draw(st.sampled_from(["enabled"] * 9 + ["disabled"])),
        "destination": DESTINATION,
        "audiences": [{"namespace": ns, "id": audience_id, **draw(mappings)} for ns, audience_id in keys],
        "attributes": draw(
            st.lists(attributes, unique_by=lambda path: path.replace("xdm:", ""), max_size=most_attributes)
        ),
        "options": draw(options),
    }


@st.composite
def configurations(draw: st.DrawFn, max_flows: int = 3) -> dict[str, Any]:
    """A file of contract 4b, parsed: some audiences described, up to `max_flows` flows."""
    return {
        "audiences": draw(_described()),
        "flows": [draw(flows(f"flow-{number}")) for number in range(draw(st.integers(1, max_flows)))],
    }


@st.composite
def crowds(draw: st.DrawFn, min_flows: int = FEW_FLOWS + 1, max_flows: int = 10) -> dict[str, Any]:
    """As `configurations`, of many flows that map little, so that an event concerns some of them; in any order of
    ids.
    """
    numbers = draw(st.lists(st.integers(0, max_flows), unique=True, min_size=min_flows, max_size=max_flows))
    return {
        "audiences": draw(_described()),
        "flows": [draw(flows(f"flow-{number}", most_audiences=2, most_attributes=2)) for number in numbers],
    }


@st.composite
def _described(draw: st.DrawFn) -> list[dict[str, Any]]:
    keys = draw(st.lists(st.sampled_from(AUDIENCES), unique=True))
    return [{"namespace": namespace, "id": audience_id, **draw(described_audiences)} for namespace, audience_id in keys]
