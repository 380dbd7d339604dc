"""The compacted topic `audiences`: what somebody said of an audience; a tombstone removes it.

key    ["<namespace>","<id>"]     value  {"audience": {…}}
"""

import orjson
from pydantic import ValidationError

from schemas.audience import Audience, AudienceKey
from schemas.kafka import BadRecord, ProducerRecord
from schemas.model import STORED, describe_record_fault, dump_model


def audience_key(key: AudienceKey) -> bytes:
    """Return the key of an audience."""
    return orjson.dumps(key)


def decode_audience_key(key: bytes) -> AudienceKey:
    """Return namespace and id of an audience's key; raise BadRecord."""
    try:
        namespace, audience_id = orjson.loads(key)
    except (orjson.JSONDecodeError, TypeError, ValueError):
        raise BadRecord(f"the key {key.decode(errors='replace')} is no pair of texts") from None
    return str(namespace), str(audience_id)


def encode_audience(audience: Audience) -> ProducerRecord:
    """Return the record of an audience."""
    return ProducerRecord(audience_key(audience.key), orjson.dumps({"audience": dump_model(audience)}))


def decode_audience(key: bytes, value: bytes) -> Audience:
    """Return the audience of a record; raise BadRecord."""
    try:
        audience, named = Audience.model_validate(orjson.loads(value)["audience"], context=STORED), orjson.loads(key)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
        raise BadRecord(f"audience {key.decode(errors='replace')}: {describe_record_fault(error)}") from None
    if named != list(audience.key):
        raise BadRecord(f"audience {key.decode(errors='replace')}: the key is not the audience's")
    return audience
