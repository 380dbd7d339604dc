"""Where the decoder of `exports` finds flow, partition key and hash key: at their usual places, and anywhere else."""

import itertools

import pytest

from schemas.export import ExportRecord
from schemas.kafka import BadRecord, ProducerHeaders, ReadRecord
from schemas.wire import exports
from schemas.wire.exports import ExportHeader, decode_export, encode_export

SOURCE = ReadRecord("profile-events", 1, 7, 1_000, b"Ada", b"{}")
RECORD = ExportRecord(
    "profile-events-1-7-vip", "vip", "etag", "Ada", "2026-01-01T00:00:00Z", 3, (), b"{}", b"{}", "p-1"
)
TRACE: ProducerHeaders = [("traceparent", b"00-1-2-01"), ("tracestate", b"a=b")]
HASH_KEY = (ExportHeader.EXPLICIT_HASH_KEY, b"17")


def headers_of(trace: ProducerHeaders) -> ProducerHeaders:
    return encode_export(RECORD, SOURCE, b"1", trace).headers


def decoded(headers: ProducerHeaders) -> tuple[str, str, str | None]:
    export = decode_export(SOURCE._replace(headers=headers))
    return export.flow_id, export.partition_key, export.explicit_hash_key


def test_the_encoder_puts_headers_where_the_decoder_looks_first() -> None:
    headers = headers_of([])

    assert len(headers) == exports._HEADERS
    assert headers[exports._FLOW_ID][0] == ExportHeader.FLOW_ID
    assert headers[exports._PARTITION_KEY][0] == ExportHeader.PARTITION_KEY


@pytest.mark.parametrize("trace", [[], TRACE[:1], TRACE])
@pytest.mark.parametrize("turns", range(0, 11, 2))
def test_headers_are_found_in_any_order_beside_any_others(trace: ProducerHeaders, turns: int) -> None:
    headers = headers_of(trace)
    turned = [*headers[turns:], *headers[:turns]]

    assert decoded(turned) == ("vip", "p-1", None)
    assert decoded([*turned, HASH_KEY]) == decoded([HASH_KEY, *turned]) == ("vip", "p-1", "17")


@pytest.mark.parametrize("name", [ExportHeader.FLOW_ID, ExportHeader.PARTITION_KEY])
def test_a_header_that_is_missing_or_has_no_value_makes_a_bad_record(name: str) -> None:
    headers = headers_of([])
    without = [header for header in headers if header[0] != name]
    empty = [(each, None if each == name else value) for each, value in headers]

    for missing in (without, [*without, ("other", b"")]):
        with pytest.raises(BadRecord, match=f"needs the header {name}"):
            decoded(missing)
    with pytest.raises(BadRecord, match="no value"):
        decoded(empty)


def test_the_hash_key_of_a_record_from_before_decided_at_is_found() -> None:
    headers = headers_of([])
    assert headers[-1][0] == ExportHeader.DECIDED_AT

    assert decoded([*headers[:-1], HASH_KEY]) == ("vip", "p-1", "17")


def test_of_a_name_that_stands_twice_the_last_one_counts_where_there_are_more_headers_than_ours() -> None:
    again: ProducerHeaders = [(ExportHeader.FLOW_ID, b"other")]

    assert decoded([*headers_of([]), *again])[0] == "other"
    assert decoded(list(itertools.chain(again, headers_of([]))))[0] == "vip"
