"""Streams of a Kinesis endpoint on this machine: created, deleted, and read as their consumers read them."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

ACCESS_KEY_ID: Final = "demo"
SECRET_KEY: Final = "demo-secret"  # noqa: S105  # the endpoint takes any
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})

_RESPONSE_SECONDS: Final = 10
_ACTIVE_POLL_SECONDS: Final = 0.1
_ACTIVE_POLLS: Final = 300


class StreamRecord(NamedTuple):
    """A record as a consumer of the stream gets it; sequence numbers grow within a shard."""

    partition_key: str
    data: bytes
    sequence_number: str
    shard: str
    arrival: datetime


def create_stream(url: str, region: str, name: str, shards: int = 1) -> str:
    """Create a stream, wait until it takes records, and return its ARN; one that exists stays as it is.

    Raises botocore's errors.
    """
    client = _client(url, region)
    with suppress(client.exceptions.ResourceInUseException):  # it exists
        client.create_stream(StreamName=name, ShardCount=shards)
    wait = {"Delay": _ACTIVE_POLL_SECONDS, "MaxAttempts": _ACTIVE_POLLS}
    client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig=wait)
    return str(client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"])


def delete_stream(url: str, region: str, name: str) -> None:
    """Delete a stream, with what it holds, where it exists. Raises botocore's errors."""
    client = _client(url, region)
    with suppress(client.exceptions.ResourceNotFoundException):
        client.delete_stream(StreamName=name, EnforceConsumerDeletion=True)


def read_stream(url: str, region: str, name: str) -> list[StreamRecord]:
    """Return all that the stream holds now, shard by shard, in order within each. Raises botocore's errors."""
    return StreamReader(url, region, name).read_on()


class StreamReader:
    """A consumer of all shards of a stream, from their beginnings; nobody may split or merge them meanwhile."""

    def __init__(self, url: str, region: str, name: str) -> None:
        self._client = client = _client(url, region)
        pages = client.get_paginator("list_shards").paginate(StreamName=name)
        shards = [shard["ShardId"] for page in pages for shard in page["Shards"]]
        start = {"StreamName": name, "ShardIteratorType": "TRIM_HORIZON"}
        self._iterators = {
            shard: client.get_shard_iterator(ShardId=shard, **start)["ShardIterator"] for shard in shards
        }

    def read_on(self) -> list[StreamRecord]:
        """Return the records since the last call, shard by shard. Raises botocore's errors."""
        return [record for shard in self._iterators for record in self._read_shard(shard)]

    def _read_shard(self, shard: str) -> Iterator[StreamRecord]:
        at_end = False
        while not at_end:
            response = self._client.get_records(ShardIterator=self._iterators[shard])
            for record in response["Records"]:
                arrival = record["ApproximateArrivalTimestamp"]
                yield StreamRecord(record["PartitionKey"], record["Data"], record["SequenceNumber"], shard, arrival)
            self._iterators[shard] = response["NextShardIterator"]
            at_end = not response["Records"] and not response["MillisBehindLatest"]


@lru_cache(maxsize=64)
def _client(url: str, region: str) -> Any:
    """Return a client that only reaches this machine, and repeats nothing by itself.

    Raises ValueError for another address.
    """
    if urlsplit(url).hostname not in LOOPBACK:
        raise ValueError(f"{url} is not an address on this machine (http://127.0.0.1:PORT)")
    config = Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=_RESPONSE_SECONDS,
        read_timeout=_RESPONSE_SECONDS,
        proxies={},
    )
    return boto3.client(
        "kinesis",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_KEY,
        config=config,
    )
