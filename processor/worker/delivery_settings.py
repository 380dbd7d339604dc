"""Limits and options of delivery, made of a worker's settings, which delivery never sees."""

from processor.delivery.kinesis.client import KinesisOptions
from processor.delivery.kinesis.endpoints import endpoint_rules
from processor.delivery.limits import DeliveryLimits, ShardLimits
from processor.foundation.secrets import secrets_of
from processor.foundation.settings import Settings


def delivery_limits(settings: Settings) -> DeliveryLimits:
    """Return the limits that the settings name, and the defaults for the rest."""
    return DeliveryLimits(
        max_records_per_call=settings.kinesis_max_records_per_call,
        max_call_bytes=settings.kinesis_max_call_bytes,
        max_record_bytes=settings.kinesis_max_record_bytes,
        calls_in_flight=settings.kinesis_calls_in_flight,
        linger_seconds=settings.kinesis_linger_seconds,
        shard=ShardLimits(settings.kinesis_shard_records_per_second, settings.kinesis_shard_bytes_per_second),
        max_buffered_records=settings.max_buffered_records,
        max_buffered_bytes=settings.max_buffered_bytes,
        probe_seconds=settings.kinesis_probe_seconds,
        park_after_seconds=settings.park_after_seconds,
        max_rejections_in_a_row=settings.kinesis_max_rejections_in_a_row,
    )


def kinesis_options(settings: Settings) -> KinesisOptions:
    """Return how the settings have Kinesis called: time-outs, secrets, and the endpoints that are allowed."""
    return KinesisOptions(
        settings.kinesis_calls_in_flight,
        settings.kinesis_connect_timeout_seconds,
        settings.kinesis_read_timeout_seconds,
        secrets=secrets_of(settings),
        endpoints=endpoint_rules(settings.endpoint_hosts),
    )
