"""The fold of flows, audiences and connections, and the catalog that is compiled from it."""

import pytest

from processor.catalog.compiled import compile_catalog
from processor.catalog.state import ControlState, Topic, TopicRecord
from schemas.flow import Flow
from schemas.kafka import BadRecord, ProducerRecord
from schemas.wire.flows import StoredFlow, encode_flow

DESTINATION = {"type": "kinesis", "stream": "s", "region": "us-east-2"}
FLOW = Flow.model_validate({"id": "vip", "destination": DESTINATION, "attributes": ["person.name"]})
STANDS: TopicRecord = (Topic.FLOWS, encode_flow(StoredFlow(FLOW, "e")))
BAD_FLOW: TopicRecord = (Topic.FLOWS, ProducerRecord(b"vip", b"{}"))
BAD_JOB: TopicRecord = (Topic.FLOWS, ProducerRecord(b"job/j1", b"{}"))
BAD_AUDIENCE: TopicRecord = (Topic.AUDIENCES, ProducerRecord(b'["ups","gold"]', b"{}"))


@pytest.mark.parametrize("bad", [BAD_FLOW, BAD_JOB, BAD_AUDIENCE])
def test_m2_nothing_is_decided_where_the_last_record_of_a_key_cannot_be_read(bad: TopicRecord) -> None:
    state = ControlState().after([STANDS, bad])

    with pytest.raises(BadRecord, match="it lacks"):
        compile_catalog(state)


@pytest.mark.parametrize("bad", [BAD_FLOW, BAD_JOB, BAD_AUDIENCE])
def test_m2_a_later_record_of_the_key_mends_what_cannot_be_read(bad: TopicRecord) -> None:
    topic, record = bad
    removed = (topic, ProducerRecord(record.key, None))

    state = ControlState().after([bad, removed, STANDS])

    assert [flow.id for flow in compile_catalog(state).flows] == ["vip"]


def test_m2_what_is_written_over_a_flow_that_cannot_be_read_is_in_force() -> None:
    state = ControlState().after([BAD_FLOW, STANDS])

    assert not state.unreadable
    assert [flow.id for flow in compile_catalog(state).flows] == ["vip"]
