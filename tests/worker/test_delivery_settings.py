"""Settings of a worker become delivery's limits."""

from processor.foundation.settings import Settings
from processor.foundation.sizes import MIB
from processor.worker.delivery_settings import delivery_limits


def test_g2_the_limits_are_those_of_aws_and_may_be_raised_to_10_mib() -> None:
    least, most = (
        delivery_limits(Settings()),
        delivery_limits(Settings(kinesis_max_call_bytes=10 * MIB, kinesis_max_record_bytes=10 * MIB)),
    )

    assert (least.max_records_per_call, least.max_call_bytes, least.max_record_bytes) == (500, 5 * MIB, 1 * MIB)
    assert (most.max_call_bytes, most.max_record_bytes) == (10 * MIB, 10 * MIB)


def test_the_limits_are_those_of_the_settings() -> None:
    settings = Settings(
        kinesis_max_records_per_call=7, kinesis_probe_seconds=3.0, max_buffered_records=11, kinesis_calls_in_flight=2
    )

    limits = delivery_limits(settings)

    assert (limits.max_records_per_call, limits.probe_seconds, limits.max_buffered_records, limits.calls_in_flight) == (
        7,
        3.0,
        11,
        2,
    )
