"""Flows and audiences as records: what is written is read back, what is none of them is refused with its key."""

import orjson
import pytest
from pydantic import ValidationError

from schemas.audience import Audience
from schemas.flow import Flow
from schemas.kafka import BadRecord
from schemas.wire.audiences import audience_key, decode_audience, encode_audience
from schemas.wire.flows import StoredFlow, decode_flow, encode_flow, flow_key

FLOW = Flow.model_validate(
    {
        "id": "vip",
        "destination": {"type": "kinesis", "stream": "s", "region": "us-east-2"},
        "attributes": ["person.name"],
    }
)
AUDIENCE = Audience.model_validate(
    {"namespace": "ups", "id": "gold", "name": "Gold", "createdAt": "2022-03-29T11:28:45Z"}
)


def test_a_flow_and_an_audience_are_read_back_as_they_were() -> None:
    stored = StoredFlow(FLOW, "0" * 32)

    assert decode_flow(flow_key(FLOW.id), encode_flow(stored).value or b"") == stored
    assert decode_audience(audience_key(AUDIENCE.key), encode_audience(AUDIENCE).value or b"") == AUDIENCE


def test_c5_a_name_is_bounded_where_it_is_said_and_read_as_it_is_where_it_was_stored() -> None:
    """Each record of a flow may name hundreds of audiences; but what was put into force before must not stop a
    worker.
    """
    said = {"namespace": "ups", "id": "gold", "name": "x" * 1025}

    with pytest.raises(ValidationError, match="has 1025 characters, 1024 at most are allowed"):
        Audience.model_validate(said)
    assert decode_audience(audience_key(AUDIENCE.key), orjson.dumps({"audience": said})).name == "x" * 1025
    assert Audience.model_validate(said | {"name": "x" * 1024}).name == "x" * 1024


def test_the_keys_are_those_of_the_contract() -> None:
    assert (flow_key("vip"), audience_key(("ups", "gold"))) == (b"vip", b'["ups","gold"]')


@pytest.mark.parametrize(
    "value",
    [
        b"no json",
        b"null",
        b"[]",
        b"{}",
        b'{"etag": "e"}',
        b'{"flow": {"id": "vip"}, "etag": "e"}',
        orjson.dumps({"flow": {}, "etag": "e"}),
    ],
)
def test_what_is_no_flow_is_refused_with_its_key(value: bytes) -> None:
    with pytest.raises(BadRecord, match="flow vip"):
        decode_flow(b"vip", value)


def test_a_flow_under_another_key_or_without_an_etag_is_refused() -> None:
    without_etag = orjson.dumps(orjson.loads(encode_flow(StoredFlow(FLOW, "e")).value or b"") | {"etag": None})

    with pytest.raises(BadRecord, match="flow other"):
        decode_flow(b"other", encode_flow(StoredFlow(FLOW, "e")).value or b"")
    with pytest.raises(BadRecord, match="flow vip"):
        decode_flow(b"vip", without_etag)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"x", encode_audience(AUDIENCE).value or b""),
        (b'["ups","other"]', encode_audience(AUDIENCE).value or b""),
        (b'["ups","gold"]', b"{}"),
        (b"\xff", b"null"),
    ],
)
def test_what_is_no_audience_or_under_another_key_is_refused(key: bytes, value: bytes) -> None:
    with pytest.raises(BadRecord, match="audience"):
        decode_audience(key, value)
