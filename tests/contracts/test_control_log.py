"""Suite of the port ControlLog: in memory, and on Kafka."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from processor.catalog.state import ControlRecord, ControlState, Topic
from processor.control.draft import Draft
from processor.control.kafka_log import KafkaControlLog, Patience, TopicTruncated
from processor.control.plane import ControlPlane
from processor.control.ports import ControlLog, Overtaken, Superseded
from processor.foundation.errors import CommandError
from processor.kafka.reading import read_topic
from processor.kafka.writer import Writer
from processor.sandbox.waiting import wait_until
from schemas.audience import Audience
from schemas.flow import Flow
from schemas.wire.audiences import audience_key
from schemas.wire.audit_events import Author
from schemas.wire.flows import StoredFlow, encode_flow, flow_key
from tests.contracts.memory_control_log import MemoryControlLog, SharedRecords
from tests.kit.installation import Installation
from tests.kit.kafka import RealKafka
from tests.kit.topics import COMPACTED_ALL_THE_TIME, alter_topic

PORT: Final = ControlLog
FORMS: Final = ("memory", "kafka")
AUTHOR = Author("ada", "command")
Open = Callable[..., AbstractContextManager[ControlLog]]


def a_flow(flow_id: str = "vip", **fields: Any) -> Flow:
    return Flow.model_validate(
        {"id": flow_id, "destination": {"type": "kinesis", "stream": "s", "region": "us-east-2"}, **fields}
    )


@pytest.fixture
def on_kafka(installation: Installation) -> Installation:
    installation.init()
    return installation


@pytest.fixture(params=FORMS)
def open_log(request: pytest.FixtureRequest) -> Iterator[Open]:
    if request.param == "memory":
        shared = SharedRecords()
        yield lambda is_api=False: nullcontext(MemoryControlLog(shared, is_api=is_api))
    else:
        settings = request.getfixturevalue("on_kafka").settings
        yield lambda is_api=False: KafkaControlLog(settings, is_api=is_api)


def draft(state: ControlState) -> Draft:
    return Draft(state, AUTHOR, 1_768_174_653_000, lambda: uuid4().hex)


def plane(log: ControlLog) -> ControlPlane:
    return ControlPlane(log, lambda: 1_768_174_653_000, lambda: uuid4().hex)


def test_what_was_committed_is_in_the_state_at_once_and_for_everybody_after(open_log: Open) -> None:
    with open_log(is_api=True) as log:
        plane(log).change(AUTHOR, lambda draft: draft.put_flow(a_flow()))

        assert set(log.state().flows) == {"vip"}
    with open_log() as another:
        assert set(another.state().flows) == {"vip"}


def test_a_command_that_writes_in_between_makes_an_api_decide_again_and_nothing_is_lost(open_log: Open) -> None:
    seen: list[set[str]] = []

    def decide(draft: Draft) -> None:
        seen.append(set(draft.state.flows))
        draft.put_flow(a_flow("second"))

    with open_log(is_api=True) as api:
        with open_log() as command:
            plane(command).change(AUTHOR, lambda draft: draft.put_flow(a_flow("first")))

        plane(api).change(AUTHOR, decide)

        assert set(api.state().flows) == {"first", "second"}
        assert seen[-1] == {"first"}


def test_who_was_overtaken_has_written_nothing(open_log: Open) -> None:
    with open_log() as older:
        mine = draft(older.state())
        mine.put_flow(a_flow("mine"))
        with open_log() as newer:
            plane(newer).change(AUTHOR, lambda draft: draft.put_flow(a_flow("theirs")))

        with pytest.raises(Overtaken):
            older.commit(mine.records)

        assert set(older.state().flows) == {"theirs"}


def test_of_two_apis_the_older_says_so_and_writes_no_more(open_log: Open) -> None:
    with open_log(is_api=True) as older, open_log(is_api=True) as newer:
        with pytest.raises(Superseded, match="another control API was started"):
            plane(older).change(AUTHOR, lambda draft: draft.put_flow(a_flow("old")))
        plane(newer).change(AUTHOR, lambda draft: draft.put_flow(a_flow("new")))

        assert set(newer.state().flows) == {"new"}


def test_a_change_that_fails_to_be_decided_writes_nothing(open_log: Open) -> None:
    def decide(draft: Draft) -> None:
        draft.put_flow(a_flow())
        raise LookupError

    with open_log() as log:
        with pytest.raises(LookupError):
            plane(log).change(AUTHOR, decide)

        assert not log.state().flows


def test_flow_audience_and_audit_event_are_one_transaction(on_kafka: Installation) -> None:
    with KafkaControlLog(on_kafka.settings) as log:
        plane(log).change(AUTHOR, lambda draft: (draft.put_flow(a_flow()), draft.put_flow(a_flow("other"))))

    (flows, audits) = (
        list(read_topic(on_kafka.settings, topic)) for topic in (on_kafka.topics.flows, on_kafka.topics.audit_events)
    )
    assert [record.key for record in flows] == [b"vip", b"other"]
    assert [record.key for record in audits] == [b'["flows","vip"]', b'["flows","other"]']


class MeanwhileWritten(tuple[ControlRecord, ...]):
    """Records in the middle of whose writing `meanwhile` happens, as another process does it."""

    meanwhile: Callable[[], None]

    def __iter__(self) -> Iterator[ControlRecord]:
        self.meanwhile()
        self.meanwhile = lambda: None
        return super().__iter__()


def test_without_transactions_the_state_is_what_the_topic_says_in_its_order_whoever_wrote(
    on_kafka: Installation,
) -> None:
    """A command beside an API may write between the API's look and its record; nothing fences either."""
    on_kafka.change(processing_guarantee="at_least_once")
    settings = on_kafka.settings

    def write(flow: Flow) -> None:
        with Writer(settings) as writer:
            writer.write(
                on_kafka.topics.flows, flow_key(flow.id), encode_flow(StoredFlow(flow, "e")).value, name=flow.id
            )

    with KafkaControlLog(settings, is_api=True) as api:
        mine = draft(api.state())
        mine.put_flow(a_flow(name="mine"))
        records = MeanwhileWritten(mine.records)
        records.meanwhile = lambda: write(a_flow(name="theirs"))

        api.commit(records)
        at_once = api.state().flows["vip"].item.name
        write(a_flow("later"))
        wait_until(lambda: "later" in api.state().flows, "the API to read on", 60.0)

        assert (at_once, api.state().flows["vip"].item.name) == ("mine", "mine")
    with KafkaControlLog(settings) as again:
        assert again.state().flows["vip"].item.name == "mine"


def test_a_log_of_which_records_were_removed_is_refused_until_somebody_says_that_he_knows(
    on_kafka: Installation,
) -> None:
    topic = on_kafka.topics.flows
    with Writer(on_kafka.settings) as writer:
        for name in ("a", "b"):
            writer.write(topic, flow_key(name), encode_flow(StoredFlow(a_flow(name), "e")).value, name=name)
    broker = on_kafka.settings.kafka_bootstrap_servers
    admin = AdminClient({"bootstrap.servers": broker})
    alter_topic(broker, topic, cleanup_policy="delete")
    wait_until(
        lambda: _removed(admin, TopicPartition(topic, 0, 1)), "the leader to know that it may remove records", 20.0
    )
    alter_topic(broker, topic, cleanup_policy="compact")

    with pytest.raises(TopicTruncated, match="its first 1 offsets were removed"), KafkaControlLog(on_kafka.settings):
        pass
    on_kafka.change(accept_gaps=f"{on_kafka.topics.audiences}:0:0")
    with pytest.raises(TopicTruncated), KafkaControlLog(on_kafka.settings):
        pass
    on_kafka.change(accept_gaps=f"{topic}:0:0")
    with KafkaControlLog(on_kafka.settings) as log:
        assert set(log.state().flows) == {"b"}
    on_kafka.change(accept_gaps="")
    with KafkaControlLog(on_kafka.settings) as log:
        assert log.state().accepted[Topic.FLOWS] == 1


def _removed(admin: AdminClient, up_to: TopicPartition) -> bool:
    (gone,) = admin.delete_records([up_to]).values()
    try:
        gone.result(20)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.POLICY_VIOLATION:  # it is compacted still
            return False
        raise
    return True


def test_compaction_is_no_truncation(on_kafka: Installation) -> None:
    topic, settings = on_kafka.topics.flows, on_kafka.settings
    alter_topic(settings.kafka_bootstrap_servers, topic, **COMPACTED_ALL_THE_TIME)

    def write(number: int) -> int:
        with Writer(settings) as writer:
            writer.write(topic, flow_key("a"), encode_flow(StoredFlow(a_flow("a"), f"e{number}")).value, name="a")
        return sum(1 for _ in read_topic(settings, topic))

    numbers = count(1)
    wait_until(lambda: write(number := next(numbers)) < number, "compaction", 60.0, poll_seconds=0.4)

    with KafkaControlLog(settings) as log:
        assert set(log.state().flows) == {"a"}


def test_a_change_of_more_records_than_the_producers_queue_holds_is_written_whole(on_kafka: Installation) -> None:
    audiences = [Audience(namespace="ups", id=f"audience-{number}") for number in range(400)]

    with KafkaControlLog(on_kafka.settings, client={"queue.buffering.max.messages": 50}) as log:
        plane(log).change(AUTHOR, lambda draft: [draft.put_audience(audience) for audience in audiences])

    (written, audits) = (
        list(read_topic(on_kafka.settings, topic))
        for topic in (on_kafka.topics.audiences, on_kafka.topics.audit_events)
    )
    assert [record.key for record in written] == [audience_key(audience.key) for audience in audiences]
    assert len(audits) == len(audiences)


def test_what_compaction_removes_before_it_was_read_leaves_no_command_waiting_for_it(
    on_kafka: Installation,
) -> None:
    patience = Patience(stale_seconds=180.0)  # so long, at most, a command waits at its end
    one_record_ahead = {"batch.num.messages": 1, "fetch.message.max.bytes": 1, "queued.min.messages": 1}
    topic, settings = on_kafka.topics.flows, on_kafka.settings
    alter_topic(settings.kafka_bootstrap_servers, topic, **COMPACTED_ALL_THE_TIME)

    def is_compacted() -> bool:
        with Writer(settings) as writer:
            writer.write(topic, flow_key("other"), encode_flow(StoredFlow(a_flow("other"), "e")).value, name="other")
        return sum(record.key == b"vip" for record in read_topic(settings, topic)) == 1

    def change_twice(draft: Draft) -> None:
        for flow in (a_flow("fetched"), a_flow(name="first"), a_flow(name="second")):
            draft.put_flow(flow)

    with KafkaControlLog(settings, client=one_record_ahead, patience=patience) as log:
        plane(log).change(AUTHOR, change_twice)
        wait_until(is_compacted, "compaction", 60.0, poll_seconds=0.4)
        ends_at = time.monotonic()
    seconds = time.monotonic() - ends_at

    assert seconds < 90


def test_after_an_outage_the_same_log_writes_again_and_knows_what_became_of_its_change(
    own_kafka: RealKafka, tmp_path: Path
) -> None:
    patience = Patience(answer_seconds=3.0, abort_seconds=1.0)
    installation = Installation(own_kafka.bootstrap_servers, tmp_path)
    installation.init()

    def written(log: KafkaControlLog, name: str) -> bool:
        try:
            plane(log).change(AUTHOR, lambda draft: draft.put_flow(a_flow(name)))
        except CommandError:
            return False
        return True

    with KafkaControlLog(installation.settings, is_api=True, patience=patience) as log:
        assert written(log, "before")
        own_kafka.pause()
        during = written(log, "during")
        own_kafka.resume()

        wait_until(lambda: written(log, "after"), "a change after the outage", 60.0, poll_seconds=0.2)

        assert not during
        flows = set(log.state().flows)
        assert {"before", "after"} <= flows
    with KafkaControlLog(installation.settings) as again:
        assert set(again.state().flows) == flows
