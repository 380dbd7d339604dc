"""Suite of the port Stream (G2, G5): in memory, and on Kinesis' endpoints behind boto3."""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple
from uuid import uuid4

import pytest

from processor.delivery.kinesis.client import KinesisOptions, stream_opener
from processor.delivery.ports import Stream
from processor.sandbox.streams import ACCESS_KEY_ID, SECRET_KEY, create_stream, read_stream
from schemas.destination import Destination
from schemas.export import Export
from schemas.wire.exports import decode_export
from tests.delivery.fakes import FakeKinesis, a_destination, export_record

PORT: Final = Stream
FORMS: Final = ("memory", "kinesis", "kinesis_local")
REGION: Final = "us-east-2"
SECONDS: Final = 240.0


class Opened(NamedTuple):
    stream: Stream
    stored: Callable[[], list[tuple[str, bytes]]]


@pytest.fixture(params=FORMS)
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    if request.param == "memory":
        memory = FakeKinesis()
        yield Opened(
            memory.open(a_destination("s")), lambda: [(each.partition_key, each.value) for each in memory.stored["s"]]
        )
        return
    url: str = request.getfixturevalue(request.param)
    name = f"s-{uuid4().hex[:8]}"
    create_stream(url, REGION, name)
    credentials = {"type": "keys", "accessKeyId": ACCESS_KEY_ID, "secretKey": "${SECRET}"}
    destination = {"type": "kinesis", "stream": name, "region": REGION, "endpointUrl": url, "credentials": credentials}
    open_stream = stream_opener(KinesisOptions(1, SECONDS, SECONDS), {"SECRET": SECRET_KEY})
    stream = open_stream(Destination.model_validate(destination))
    yield Opened(stream, lambda: [(each.partition_key, each.data) for each in read_stream(url, REGION, name)])
    stream.close()


def exports(*values: bytes) -> list[Export]:
    """Return exports of one profile each, with these values."""
    return [
        decode_export(export_record(offset, f"p-{offset}", value=value))  # type: ignore[arg-type]  # it has all that is read
        for offset, value in enumerate(values)
    ]


async def put(opened: Opened, *values: bytes) -> Any:
    return await opened.stream.put(exports(*values))


async def test_g1_what_is_put_is_stored_as_it_is_in_its_order_and_the_response_says_so(opened: Opened) -> None:
    first = await put(opened, b"1", b"\xff\x00 2")
    await put(opened, b"3")

    assert opened.stored() == [("p-0", b"1"), ("p-1", b"\xff\x00 2"), ("p-0", b"3")]
    assert first["FailedRecordCount"] == 0
    assert [bool(entry["SequenceNumber"]) for entry in first["Records"]] == [True, True]
