"""Who else is in our group: what a broker says of it keeps a worker from starting only where it says that somebody
is.
"""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from processor.foundation.settings import Settings
from processor.kafka import neighbours
from processor.kafka.errors import BrokerUnreachable
from processor.kafka.neighbours import require_alone


def a_broker_that_says(code: int) -> Any:
    """It has a controller, and answers so when it is asked for groups."""

    def describe(groups: list[str], request_timeout: float) -> dict[str, Future[Any]]:
        asked: dict[str, Future[Any]] = {group: Future() for group in groups}
        for future in asked.values():
            future.set_exception(KafkaException(KafkaError(code)))
        return asked

    client = SimpleNamespace(
        list_topics=lambda timeout: SimpleNamespace(controller_id=1, brokers={1: None}),
        describe_consumer_groups=describe,
    )
    return lambda _: client


@pytest.mark.parametrize(
    "code",
    [KafkaError.UNSUPPORTED_VERSION, KafkaError._UNSUPPORTED_FEATURE, KafkaError.UNKNOWN, KafkaError.INVALID_REQUEST],
)
def test_a_broker_that_does_not_describe_groups_is_no_reason_not_to_start(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "AdminClient", a_broker_that_says(code))

    require_alone(Settings(_env_file=None))  # type: ignore[call-arg]  # pydantic-settings' own argument


@pytest.mark.parametrize(
    "code",
    [KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.NOT_COORDINATOR, KafkaError._TRANSPORT, KafkaError._TIMED_OUT],
)
def test_a_coordinator_that_is_away_is_waited_for(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "AdminClient", a_broker_that_says(code))

    with pytest.raises(BrokerUnreachable):
        require_alone(Settings(_env_file=None))  # type: ignore[call-arg]  # pydantic-settings' own argument
