"""Read a record of `exports`: the value is the final record and never parsed; everything else is in key and headers
(design 2).
"""

from processor.delivery.ports import Export
from schemas.export import ExportHeader
from schemas.kafka import ConsumerRecord, count_record_bytes


class UnreadableExport(ValueError):
    """The record was not written by this product, or is broken; the text says what is missing."""


def parse_export(record: ConsumerRecord) -> Export:
    """The record, ready to leave; raises UnreadableExport."""
    headers = dict(record.headers)
    value = record.value
    if value is None or record.key is None:
        raise UnreadableExport(
            f"a record of exports needs a key and a value, and this one has no {'value' if value is None else 'key'}"
        )
    try:
        flow_id, partition_key = headers[ExportHeader.FLOW_ID], headers[ExportHeader.PARTITION_KEY]
        hash_key = headers.get(ExportHeader.EXPLICIT_HASH_KEY)
        if flow_id is None or partition_key is None:
            raise UnreadableExport("a header of a record of exports has no value")
        return Export(
            record,
            flow_id.decode(),
            value,
            partition_key.decode(),
            None if hash_key is None else hash_key.decode(),
            len(value) + len(partition_key),
            count_record_bytes((record,)),
        )
    except KeyError as error:
        raise UnreadableExport(f"a record of exports needs the header {error.args[0]}, and this one has none") from None
    except UnicodeDecodeError as error:
        raise UnreadableExport(f"a header of a record of exports is not UTF-8: {error}") from None
