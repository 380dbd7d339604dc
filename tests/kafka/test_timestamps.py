"""Which timestamps a topic takes."""

from processor.kafka.timestamps import MAX_TIMESTAMP, TimestampBounds, timestamp_bounds

NOW = 1_700_000_000_000
HOUR = 3_600_000


def test_an_hour_ahead_is_taken_and_a_millisecond_more_is_not() -> None:
    bounds = timestamp_bounds(
        {"message.timestamp.after.max.ms": str(HOUR), "message.timestamp.before.max.ms": str(MAX_TIMESTAMP)}, NOW
    )

    assert NOW + HOUR in bounds
    assert NOW + HOUR + 1 not in bounds
    assert 1 in bounds
    assert 0 not in bounds  # to librdkafka it means now


def test_a_bound_in_the_past_counts_too() -> None:
    bounds = timestamp_bounds({"message.timestamp.before.max.ms": str(HOUR)}, NOW)

    assert NOW - HOUR in bounds
    assert NOW - HOUR - 1 not in bounds


def test_a_topic_that_sets_its_own_times_and_a_broker_that_does_not_tell_take_any() -> None:
    own = {"message.timestamp.type": "LogAppendTime", "message.timestamp.after.max.ms": "1"}

    assert timestamp_bounds(own, NOW) == timestamp_bounds(None, NOW) == TimestampBounds(1, MAX_TIMESTAMP, 1)


def test_what_is_older_than_the_retention_does_not_stay_unless_the_topic_is_only_compacted() -> None:
    assert timestamp_bounds({"retention.ms": str(HOUR)}, NOW).kept_from == NOW - HOUR
    assert timestamp_bounds({"retention.ms": "-1"}, NOW).kept_from == 1
    assert timestamp_bounds({"retention.ms": str(HOUR), "cleanup.policy": "compact"}, NOW).kept_from == 1
    assert (
        timestamp_bounds({"retention.ms": str(HOUR), "cleanup.policy": "compact,delete"}, NOW).kept_from == NOW - HOUR
    )
