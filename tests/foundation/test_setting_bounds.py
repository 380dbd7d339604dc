"""Every bound of every setting, given to whom it is for: what the settings allow, Faust, aiokafka, librdkafka, botocore
and RocksDB take.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from pydantic import ValidationError

from processor.delivery.kinesis.client import stream_opener
from processor.foundation.settings import Settings
from processor.kafka.connection import confluent_config, consumer_config, producer_config
from processor.kafka.producers import new_producer
from processor.worker.delivery_settings import delivery_limits, kinesis_options
from processor.worker.faust_app import create_app
from schemas.destination import Destination
from schemas.export import Export
from state.store_options import shared_memory
from tests.delivery.fakes import export_record

TOO_MUCH = 10**30
BESIDE = {  # what a bound needs beside it
    ("kinesis_max_call_bytes", 1024): {"kinesis_max_record_bytes": 1024},
    ("kinesis_max_record_bytes", 10 * 1024 * 1024): {"kinesis_max_call_bytes": 10 * 1024 * 1024},
}
FOR_PEOPLE = {("standby_replicas", 1_000_000_000)}  # only 0 is taken, and the error says why


def numeric_fields() -> Iterator[tuple[str, list[Any]]]:
    """Each setting that is a number, and what bounds it."""
    for name, field in Settings.model_fields.items():
        limits = [
            getattr(each, of)
            for each in field.metadata
            for of in ("ge", "gt", "le", "lt")
            if getattr(each, of, None) is not None
        ]
        if limits:
            yield name, limits


def bounds() -> Iterator[tuple[str, Any]]:
    """The least and the most of each that is allowed."""
    for name, limits in numeric_fields():
        yield from (
            (name, limit) for limit in limits if (name, limit) not in FOR_PEOPLE and not (limit == 0 and is_open(name))
        )


def is_open(name: str) -> bool:
    return any(getattr(each, "gt", None) is not None for each in Settings.model_fields[name].metadata)


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg]  # pydantic-settings' own argument


async def make_clients(settings: Settings, *, is_kinesis: bool) -> None:
    """Build what these settings are for, as a worker does; nothing connects."""
    app = create_app(settings)
    group_consumer = app.consumer._thread._create_worker_consumer(
        app.transport
    )  # Faust makes it in a thread of its own, when it starts
    log = new_producer(settings, "transactional-id")
    opened = stream_opener(kinesis_options(settings), {"SECRET": "secret"})(destination())
    try:
        for client in (
            Producer(producer_config(settings)),
            Consumer(consumer_config(settings, "group")),
            AdminClient(confluent_config(settings)),
        ):
            assert client is not None
        shared_memory(settings.block_cache_bytes, settings.write_buffer_bytes, settings.partitions)
        delivery_limits(settings)
        if is_kinesis:
            with pytest.raises(EndpointConnectionError):  # nobody listens there; the client was made
                await opened.put([Export(export_record(1), "vip", b"{}", "p-1", None, 5, 5)])
    finally:
        await group_consumer.stop()
        await log.stop()
        opened.close()


def destination() -> Destination:
    keys = {"type": "keys", "accessKeyId": "AKIA", "secretKey": "${SECRET}"}
    place = {"type": "kinesis", "stream": "s", "region": "us-east-2", "endpointUrl": "http://127.0.0.1:1"}
    return Destination.model_validate(place | {"credentials": keys})


@pytest.mark.parametrize(("name", "value"), [*bounds()])
def test_a_setting_at_its_bound_is_taken_by_every_client(name: str, value: Any) -> None:
    asyncio.run(
        make_clients(settings(**{name: value} | BESIDE.get((name, value), {})), is_kinesis=name.startswith("kinesis_"))
    )


@pytest.mark.parametrize("name", [name for name, _ in numeric_fields()])
def test_no_number_is_without_an_end(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        settings(**{name: TOO_MUCH})
