"""Name what other tools wrap around an event, with the remedy (I10); take nothing off, and guess nothing.

Asked only of what cannot be used, so it may look twice. Each function gives a sentence without a full stop, "" where it
knows nothing.
"""

from typing import Any, Final

import orjson

_UTF16: Final = "it is UTF-16 text: write it as UTF-8 (a file: iconv -f UTF-16 -t UTF-8)"
_UTF32: Final = "it is UTF-32 text: write it as UTF-8 (a file: iconv -f UTF-32 -t UTF-8)"
_PLAIN_JSON: Final = (
    "write plain JSON (StringSerializer, ByteArraySerializer), or put a converter in front of this topic"
)
_CONNECT: Final = (
    "it is a Kafka Connect envelope (schema, payload): set value.converter.schemas.enable=false in the connector, so"
    " that the payload stands alone"
)
_BATCH: Final = (
    "it is a JSON array, as CloudEvents' batched mode has it: write each event as a record of its own (in a file: a"
    " line of its own)"
)
_ENCODED_TWICE: Final = (
    "it is a JSON string that holds JSON: it was encoded twice; write the object itself, not quoted as a text"
)
_MARKS: Final = (
    (b"\xff\xfe\x00\x00", _UTF32),
    (b"\x00\x00\xfe\xff", _UTF32),
    (b"\xff\xfe", _UTF16),
    (b"\xfe\xff", _UTF16),
    (b"\x1f\x8b", "it is compressed by gzip: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "it is compressed by zstd: unpack it first"),
    (b"\x04\x22\x4d\x18", "it is compressed by lz4: unpack it first"),
    (b"\xfd7zXZ\x00", "it is compressed by xz: unpack it first"),
    (b"BZh91AY&SY", "it is compressed by bzip2: unpack it first"),
    (b"PK\x03\x04", "it is a ZIP archive: unpack it first"),
    (b"Obj\x01", f"it is a file of Avro: {_PLAIN_JSON}"),
    (b"\xc3\x01", f"it is an object of Avro (single-object encoding): {_PLAIN_JSON}"),
    (b"PAR1", f"it is a file of Parquet: {_PLAIN_JSON}"),
)
_GLUE: Final = (b"\x03\x00", b"\x03\x05")  # AWS Glue: a version, a compression, 16 bytes of a UUID
_GLUE_BYTES: Final = 18
_FRAME_BYTES: Final = 5
_WIDE: Final = 4  # bytes of two characters of UTF-16


def wrapper_of_bytes(value: bytes) -> str:
    """Say what bytes that are no JSON are, by how they begin."""
    for mark, what in _MARKS:
        if value.startswith(mark):
            return what
    if is_plain_utf16(value):
        return _UTF16
    if value[:1] == b"\x00" and len(value) > _FRAME_BYTES and value[1] < 0x80:
        schema_id = int.from_bytes(value[1:_FRAME_BYTES], "big")
        return (
            f"it has schema registry framing (a zero byte and the schema id {schema_id}) of JSON Schema, Avro or"
            f" Protobuf: {_PLAIN_JSON}"
        )
    if value[:2] in _GLUE and len(value) > _GLUE_BYTES:
        return f"it has the framing of the AWS Glue schema registry: {_PLAIN_JSON}"
    return ""


def wrapper_of_file(beginning: bytes) -> str:
    """Say what a file is that is no text in UTF-8, by how it begins."""
    for mark, what in _MARKS:
        if beginning.startswith(mark):
            return what
    return _UTF16 if is_plain_utf16(beginning) else ""


def is_plain_utf16(text: bytes) -> bool:
    """Return whether two ASCII characters in UTF-16 begin a text, without a byte order mark.

    Their bytes may have either order. No UTF-8 text of JSON begins so.
    """
    first, second, third, fourth = text[:_WIDE] if len(text) >= _WIDE else b"\0\0\0\0"
    ascii_first, ascii_second = (
        (first, third) if second == fourth == 0 else (second, fourth) if first == third == 0 else (0, 0)
    )
    return all(0x20 <= each < 0x7F or each in b"\t\r\n" for each in (ascii_first, ascii_second))


def wrapper_of_json(parsed: Any) -> str:
    """Say what JSON that is no CloudEvent is."""
    if isinstance(parsed, list):
        return _BATCH if not parsed or isinstance(parsed[0], dict) else "it is a JSON array"
    if isinstance(parsed, str):
        return _ENCODED_TWICE if holds_json(parsed) else "it is a JSON string"
    if not isinstance(parsed, dict):
        return ""
    if "schema" in parsed and "payload" in parsed:
        return _CONNECT
    for name, inner in parsed.items():
        if (isinstance(inner, dict) and "specversion" in inner) or (
            isinstance(inner, str) and '"specversion"' in inner
        ):
            return f"an event stands in its member {name[:64]!r}: write that alone, as the whole value"
    return ""


def wrapper_of_data(data: Any) -> str:
    """Say what stands in the place of the data of an event, where it is a wrapper beyond doubt."""
    if isinstance(data, list):
        return _BATCH if data and isinstance(data[0], dict) and "specversion" in data[0] else ""
    if isinstance(data, str):
        return _ENCODED_TWICE if holds_json(data) else ""
    return ""


def wrapper_of_value(data: Any) -> str:
    """Say what data that are the whole value are, as `wrapper_of_data` does.

    Nothing but a schema of Kafka Connect's and its payload is its envelope.
    """
    if not isinstance(data, dict) or data.keys() != {"schema", "payload"}:
        return wrapper_of_data(data)
    schema = data["schema"]
    return _CONNECT if schema is None or (isinstance(schema, dict) and "type" in schema) else ""


def holds_json(text: str) -> bool:
    """Return whether a text is an object or an array in JSON."""
    try:
        return isinstance(orjson.loads(text.lstrip("\ufeff")), dict | list)
    except orjson.JSONDecodeError:
        return False
