"""What audit events say of flows, so that the etag of an export leads to the flow that decided it (contract M2, F2,
G7).
"""

from collections.abc import Collection
from typing import Any

import orjson
import pytest

from processor.catalog.state import Topic
from processor.control.draft import Draft
from processor.control.native import abandon_flow, delete_flow, put_flow
from processor.control.plane import ControlPlane
from processor.control.recording import record_etags
from processor.control.rotation import rotate
from processor.foundation.secrets import Secrets
from schemas.flow import Flow
from schemas.times import format_time
from schemas.wire.audit_events import Author, FlowEtag, decode_flow_etags
from schemas.wire.flows import StoredFlow, encode_flow
from tests.contracts.memory_control_log import MemoryControlLog, SharedRecords

ADA = Author("ada", "command")
NOW_MS = 1_768_174_653_000
CONTENT = ("action", "etagBefore", "etag", "deletedAt")
KEYS = "z" * 43 + "=", "y" * 43 + "="


def a_flow(name: str = "", **fields: Any) -> Flow:
    destination = {"type": "kinesis", "stream": "s", "region": "us-east-2", **fields.pop("destination", {})}
    return Flow.model_validate({"id": "vip", "name": name, "destination": destination, **fields})


class Plane:
    """A control plane in memory; its etags, and ids of jobs, count up."""

    def __init__(self) -> None:
        self.records = SharedRecords()
        self.log = MemoryControlLog(self.records, is_api=False)
        self._plane = ControlPlane(self.log, lambda: NOW_MS, self._next)
        self.etags: list[str] = []

    def _next(self) -> str:
        self.etags.append(f"etag{len(self.etags) + 1}")
        return self.etags[-1]

    def change(self, *decide: Any) -> list[dict[str, Any]]:
        """The audit events of kind `flows` that each change of its own made."""
        before = len(self.records.records)
        for each in decide:
            self._plane.change(ADA, each)
        return [event for event in self.events(before) if event["kind"] == "flows"]

    def events(self, first: int = 0) -> list[dict[str, Any]]:
        records = [record for topic, record in self.records.records[first:] if topic is Topic.AUDIT_EVENTS]
        return [orjson.loads(record.value or b"") for record in records]

    def unnamed(self, wanted: Collection[FlowEtag]) -> set[FlowEtag]:
        """As the topic says."""
        audits = [record for topic, record in self.records.records if topic is Topic.AUDIT_EVENTS]
        return set(wanted) - {named for record in audits for named in decode_flow_etags(record.key, record.value)}

    def stored(self) -> dict[str, Any]:
        """What stands on `flows` for the flow last."""
        return (
            orjson.loads([record.value or b"null" for _, record in self.records.records if record.key == b"vip"][-1])
            or {}
        )

    def record(self) -> list[dict[str, Any]]:
        return self.change(lambda draft: record_etags(draft, self.unnamed))


def put(flow: Flow) -> Any:
    return lambda draft: put_flow(draft, flow)


def delete(draft: Draft) -> None:
    delete_flow(draft, "vip")


def told(event: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(event.get(name) for name in CONTENT)


def test_m2_every_etag_that_an_export_can_have_leads_to_its_flow() -> None:
    plane = Plane()

    created, changed, back = plane.change(put(a_flow("one")), put(a_flow("two")), put(a_flow("one")))

    assert [created["etagBefore"], changed["etagBefore"], back["etagBefore"]] == [
        None,
        created["etag"],
        changed["etag"],
    ]
    assert len({created["etag"], changed["etag"], back["etag"]}) == 3
    assert back["etag"] == plane.stored()["etag"]
    assert [event["after"]["name"] for event in (created, changed, back)] == ["one", "two", "one"]


def test_a_deleted_flow_has_no_etag_any_more() -> None:
    plane = Plane()

    created, deleted = plane.change(put(a_flow()), delete)

    assert told(deleted) == ("deleted", created["etag"], None, None)
    assert "deletedAt" not in deleted


def test_f2_a_deleted_flow_that_still_sends_exits_has_the_etag_of_those_until_it_is_given_up() -> None:
    plane = Plane()
    exits = a_flow(audiences=[{"namespace": "ups", "id": "a"}], options={"emitExitOnUnmap": True})

    created, deleted, given_up = plane.change(put(exits), delete, lambda draft: abandon_flow(draft, "vip"))

    leaving = [
        orjson.loads(record.value)
        for _, record in plane.records.records
        if record.key == b"vip" and b"deletedAt" in (record.value or b"")
    ]
    assert told(deleted) == ("deleted", created["etag"], leaving[0]["etag"], format_time(NOW_MS // 1000))
    assert deleted["before"]["id"] == "vip"
    assert told(given_up) == ("deleted", deleted["etag"], None, None)


def test_only_events_of_flows_have_etags() -> None:
    plane = Plane()
    exits = a_flow(audiences=[{"namespace": "ups", "id": "a"}], options={"emitExitOnUnmap": True})

    plane.change(put(exits), delete, lambda draft: abandon_flow(draft, "vip"))

    assert {event["kind"] for event in plane.events()} >= {"flows"}
    assert all(("etag" in event) == (event["kind"] == "flows") for event in plane.events())


@pytest.mark.parametrize("deleted_at", [None, "2026-01-01T00:00:00Z"])
def test_a_flow_of_before_is_recorded_once_and_nothing_is_changed(deleted_at: str | None) -> None:
    plane = Plane()
    secret = {"type": "keys", "accessKeyId": "AKIA0000000000000000", "secretKey": "${THE_SECRET}"}
    old = StoredFlow(a_flow("old", destination={"credentials": secret}), "etag-of-before", deleted_at)
    plane.records.records.append((Topic.FLOWS, encode_flow(old)._replace(timestamp=NOW_MS)))
    before = plane.stored()

    (recorded,) = plane.record()
    again = plane.record()

    assert told(recorded) == ("recorded", None, "etag-of-before", deleted_at)
    assert (recorded["before"], recorded["after"]["name"]) == (None, "old")
    assert again == []
    assert plane.stored() == before


def test_a_flow_that_has_an_audit_event_is_not_recorded_nor_one_that_is_rewritten_for_another_key() -> None:
    plane = Plane()
    stored = Secrets([KEYS[0]]).encrypt("s3cr3t")
    keys = {"type": "keys", "accessKeyId": "AKIA0000000000000000", "secretKey": stored}
    plane.change(put(a_flow(destination={"credentials": keys})))
    secret_before = plane.stored()["flow"]["destination"]["credentials"]["secretKey"]

    plane.change(lambda draft: rotate(draft, Secrets([KEYS[1], KEYS[0]])))

    assert plane.stored()["flow"]["destination"]["credentials"]["secretKey"] != secret_before
    assert plane.record() == []


def test_a_flow_that_an_old_version_changed_again_is_recorded_again() -> None:
    """The etag of an audit event names the flow as it was."""
    plane = Plane()
    plane.change(put(a_flow("one")))
    plane.records.records.append(
        (Topic.FLOWS, encode_flow(StoredFlow(a_flow("two"), "etag-of-another"))._replace(timestamp=NOW_MS))
    )

    (recorded,) = plane.record()

    assert (recorded["etag"], recorded["after"]["name"]) == ("etag-of-another", "two")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b'["flows","vip"]', b'{"id":"vip","kind":"flows","action":"created","before":null,"after":{"id":"vip"}}'),
        (b'["flows","vip"]', b'{"id":"vip","etag":null,"etagBefore":7}'),
        (b'["flows","vip"]', b"not JSON"),
        (b'["flows","vip"]', b"[]"),
        (b'["flows","vip"]', None),
        (b'["jobs","vip"]', b'{"id":"vip","etag":"e"}'),
        (None, b'{"id":"vip","etag":"e"}'),
    ],
)
def test_audit_events_of_before_and_of_others_name_no_etag(key: bytes | None, value: bytes | None) -> None:
    assert list(decode_flow_etags(key, value)) == []


def test_nothing_is_looked_up_for_flows_whose_record_names_its_author() -> None:
    """Such a record was written in one transaction with the audit event that names its etag; the topic, which only
    grows, is not read for it.
    """
    plane = Plane()
    asked: list[Collection[FlowEtag]] = []
    exits = a_flow(audiences=[{"namespace": "ups", "id": "a"}], options={"emitExitOnUnmap": True})
    plane.change(put(exits), delete, put(a_flow().model_copy(update={"id": "other"})))
    old = StoredFlow(a_flow("old"), "etag-of-before")

    plane.change(lambda draft: record_etags(draft, lambda wanted: asked.append(wanted) or set()))
    plane.records.records.append((Topic.FLOWS, encode_flow(old)._replace(timestamp=NOW_MS)))
    plane.change(lambda draft: record_etags(draft, lambda wanted: asked.append(wanted) or set()))

    assert [list(each) for each in asked] == [[("vip", "etag-of-before")]]
