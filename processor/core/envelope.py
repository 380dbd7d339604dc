"""Make a record's content ready to leave: bytes, in its envelope, with its line feed (D2, G10)."""

import orjson

from processor.core.catalog import CompiledFlow
from schemas.export import ExportRecord
from schemas.profile import Document


def finish_record(
    flow: CompiledFlow,
    record_id: str,
    key: str,
    time: str,
    version: int,
    causes: tuple[str, ...],
    content: Document,
    partition_key: str,
) -> ExportRecord:
    """Return the record of a profile, in an envelope where the flow wants one. Home of D2.

    `key` is the profile's id, `time` is in the form of C8, `causes` are sorted (A13).
    """
    data = orjson.dumps(content)
    value = data
    if flow.options.envelope == "cloudevents":
        value = orjson.dumps(
            {
                "specversion": "1.0",
                "id": record_id,
                "source": f"/flows/{flow.id}",
                "type": "profile.exported",
                "subject": key,
                "time": time,
                "datacontenttype": "application/json",
                "profileversion": version,
                "causes": orjson.dumps(causes).decode(),
                "data": orjson.Fragment(data),
            }
        )
    if flow.ends_lines:
        value += b"\n"
    return ExportRecord(record_id, flow.id, flow.etag, key, time, version, causes, data, value, partition_key)
