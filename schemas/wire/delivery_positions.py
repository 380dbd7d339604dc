"""The compacted topic `delivery-positions`: how far parked flows are on `exports`.

    key    ["<flow id>","<interval id>"]     value  schemas/parked_flow.py, ParkedFlowRow

A record stands in the partition of `exports` that it is of; a tombstone removes a row.
"""

import json

from pydantic import ValidationError

from schemas.kafka import BadRecord, ProducerRecord
from schemas.parked_flow import ParkedFlowRow


def parked_flow_key(flow_id: str, interval_id: str) -> str:
    """Return the key of one parked interval of a flow, as text."""
    return json.dumps([flow_id, interval_id], ensure_ascii=False, separators=(",", ":"))


def encode_parked_flow(key: str, row: ParkedFlowRow | None) -> ProducerRecord:
    """Return the record of a row, None: the tombstone that removes it."""
    value = None if row is None else row.model_dump_json(by_alias=True, exclude_defaults=True).encode()
    return ProducerRecord(key.encode(), value)


def decode_parked_flow(key: bytes, value: bytes) -> ParkedFlowRow:
    """Return the row of a record; raise BadRecord."""
    try:
        return ParkedFlowRow.model_validate_json(value)
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]["msg"]
        raise BadRecord(f"the row {key!r} cannot be read: {error.error_count()} faults, the first: {fault}") from None
