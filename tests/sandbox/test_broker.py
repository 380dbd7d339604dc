"""The embedded broker speaks Kafka's protocol, and says when it is not there."""

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from processor.sandbox.broker import EmbeddedBroker, assert_nothing_dropped
from processor.sandbox.child import ChildError

READ_SECONDS = 10.0


def test_what_is_produced_is_read_back_from_its_partition() -> None:
    with EmbeddedBroker({"profile-events": 2}) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        producer.produce("profile-events", key=b"p-1", value=b"{}", partition=1)
        producer.flush(READ_SECONDS)
        consumer = Consumer(
            {"bootstrap.servers": broker.bootstrap_servers, "group.id": "reader", "auto.offset.reset": "earliest"}
        )
        consumer.assign([TopicPartition("profile-events", 1, 0)])

        message = consumer.poll(READ_SECONDS)
        consumer.close()

        assert message is not None
        assert (message.partition(), message.offset(), message.key(), message.value()) == (1, 0, b"p-1", b"{}")
        assert_nothing_dropped(broker.bootstrap_servers)


def test_a_topic_has_the_partitions_it_was_given() -> None:
    with EmbeddedBroker({"profile-events": 3, "flows": 1}) as broker:
        topics = Producer({"bootstrap.servers": broker.bootstrap_servers}).list_topics(timeout=READ_SECONDS).topics

        assert {name: len(topic.partitions) for name, topic in topics.items()} == {"profile-events": 3, "flows": 1}


def test_a_broker_that_was_not_started_or_has_ended_has_no_address() -> None:
    broker = EmbeddedBroker({"profile-events": 1})
    with pytest.raises(ChildError):
        _ = broker.bootstrap_servers
    with broker:
        pass

    with pytest.raises(ChildError, match="not running"):
        _ = broker.bootstrap_servers


def test_a_topic_without_partitions_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="orders"):
        EmbeddedBroker({"orders": 0})
