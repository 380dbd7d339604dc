"""The Kinesis endpoint keeps what it is given, in order, and says when it is not there."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest

from processor.sandbox.child import ChildError
from processor.sandbox.endpoint import KinesisEndpoint
from processor.sandbox.streams import ACCESS_KEY_ID, SECRET_KEY, StreamReader, create_stream, read_stream

pytestmark = pytest.mark.xdist_group("demo-endpoint")  # the module's fixtures are made once

REGION = "us-east-1"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with KinesisEndpoint() as endpoint:
        yield endpoint.url


def put(url: str, stream: str, *entries: tuple[str, bytes]) -> None:
    client = boto3.client(
        "kinesis",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_KEY,
    )
    answer = client.put_records(
        StreamName=stream, Records=[{"PartitionKey": key, "Data": data} for key, data in entries]
    )
    assert answer["FailedRecordCount"] == 0


def test_what_is_put_is_read_back_in_order_per_key(url: str) -> None:
    create_stream(url, REGION, "ordered", shards=3)
    put(url, "ordered", *((f"p-{number % 10}", b"%d" % number) for number in range(200)))

    records = read_stream(url, REGION, "ordered")

    assert sorted(int(record.data) for record in records) == list(range(200))
    assert len({record.shard for record in records}) == 3
    for key in {record.partition_key for record in records}:
        of_key = [int(record.data) for record in records if record.partition_key == key]
        assert of_key == sorted(of_key)


def test_calls_at_the_same_time_overwrite_nothing(url: str) -> None:
    create_stream(url, REGION, "concurrent")
    batches = [[("p", b"%d-%d" % (batch, number)) for number in range(100)] for batch in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda batch: put(url, "concurrent", *batch), batches))

    records = read_stream(url, REGION, "concurrent")

    assert sorted(record.data for record in records) == sorted(data for batch in batches for _, data in batch)


def test_a_stream_that_is_there_stays_as_it_is(url: str) -> None:
    create_stream(url, REGION, "twice", shards=2)
    put(url, "twice", ("p", b"kept"))

    create_stream(url, REGION, "twice", shards=2)

    assert [record.data for record in read_stream(url, REGION, "twice")] == [b"kept"]


def test_an_empty_stream_has_no_records(url: str) -> None:
    create_stream(url, REGION, "empty", shards=2)

    assert read_stream(url, REGION, "empty") == []


def test_a_reader_goes_on_where_it_was(url: str) -> None:
    create_stream(url, REGION, "followed", shards=2)
    put(url, "followed", ("p", b"1"))
    reader = StreamReader(url, REGION, "followed")
    assert [record.data for record in reader.read_on()] == [b"1"]

    put(url, "followed", ("p", b"2"), ("p", b"3"))

    assert [record.data for record in reader.read_on()] == [b"2", b"3"]
    assert reader.read_on() == []


def test_an_endpoint_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match="not an address on this machine"):
        read_stream("https://kinesis.us-east-1.amazonaws.com", REGION, "s")


def test_an_endpoint_that_was_not_started_or_has_ended_has_no_address() -> None:
    endpoint = KinesisEndpoint()
    with pytest.raises(ChildError):
        _ = endpoint.url
    with endpoint:
        pass

    with pytest.raises(ChildError, match="not running"):
        _ = endpoint.url
