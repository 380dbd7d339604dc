"""The insides of Faust and aiokafka that the transport leans on are as they were.

A version that moved them fails here, loudly.
"""

import inspect

import aiokafka
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance, GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState, TopicPartitionState
from faust.app import App
from faust.transport import drivers
from faust.transport.consumer import Consumer, ThreadDelegateConsumer
from faust.transport.drivers import aiokafka as driver
from mode import Service
from mode.threads import QueueServiceThread, ServiceThread

from processor.transport.consumer import BatchConsumer
from processor.transport.transport import LastingFetcher, Transport


def test_the_scheme_is_plugged_in_by_its_entry_point() -> None:
    assert drivers.TRANSPORTS.by_url("batches://127.0.0.1:9092") is Transport
    assert Transport.Consumer is BatchConsumer


def test_the_consumer_has_what_is_replaced_and_used() -> None:
    for name in (
        "_drain_messages",
        "_wait_next_records",
        "_filter_tps_with_pending_acks",
        "_new_offset",
        "_commit_offsets",
        "perform_seek",
    ):
        assert hasattr(Consumer, name), name
    source = inspect.getsource(Consumer.__init__) + inspect.getsource(Consumer._reset_state)
    for name in (
        "_read_offset",
        "_committed_offset",
        "can_resume_flow",
        "suspend_flow",
        "flow_active",
        "_paused_partitions",
    ):
        assert f"self.{name}" in source, name


def test_commits_go_through_the_methods_that_are_replaced() -> None:
    assert "self._filter_tps_with_pending_acks(topics)" in inspect.getsource(Consumer.force_commit)
    assert "self._new_offset(tp)" in inspect.getsource(Consumer._filter_committable_offsets)
    assert "self._commit_offsets(" in inspect.getsource(Consumer._commit_tps)


def test_the_loop_that_fetches_sees_a_stopped_service_and_the_consumer_has_its_thread() -> None:
    assert "self._stopped = self._new_stopped_event()" in inspect.getsource(Service)
    assert "cast(Service, fetcher)._stopped.is_set" in inspect.getsource(Consumer._drain_messages)
    assert "self._thread = self._new_consumer_thread()" in inspect.getsource(ThreadDelegateConsumer.__init__)
    assert "await self._thread.getmany(" in inspect.getsource(ThreadDelegateConsumer._getmany)


def test_commits_and_calls_of_the_thread_go_to_aiokafkas_consumer() -> None:
    thread = driver.AIOKafkaConsumerThread
    assert "await self._thread.commit(offsets)" in inspect.getsource(ThreadDelegateConsumer._commit)
    assert "self.call_thread(self._commit, offsets)" in inspect.getsource(thread.commit)
    assert list(inspect.signature(thread._ensure_consumer).parameters) == ["self"]
    assert "return self._consumer" in inspect.getsource(thread._ensure_consumer)
    assert isinstance(inspect.getattr_static(QueueServiceThread, "method_queue"), property)
    assert "self.parent_loop = loop or get_event_loop()" in inspect.getsource(ServiceThread.__init__)


def test_the_thread_fetches_and_seeks_by_the_methods_that_are_replaced() -> None:
    thread = driver.AIOKafkaConsumerThread
    assert "self._fetch_records" in inspect.getsource(thread.getmany)
    assert list(inspect.signature(thread._fetch_records).parameters) == [
        "self",
        "consumer",
        "active_partitions",
        "timeout",
        "max_records",
    ]
    assert "consumer.seek(tp, offset)" in inspect.getsource(thread._seek_wait)
    assert "_new_consumer_thread" in inspect.getsource(ThreadDelegateConsumer.__init__)


def test_aiokafka_keeps_isolation_and_fetch_wait_where_they_are_set() -> None:
    source = inspect.getsource(aiokafka.AIOKafkaConsumer)

    assert "isolation_level=self._isolation_level" in source
    assert "fetch_max_wait_ms=self._fetch_max_wait_ms" in source


def test_an_empty_set_of_partitions_means_all_to_aiokafka() -> None:
    assert "if partitions and tp not in partitions" in inspect.getsource(Fetcher.fetched_records)


def test_positions_are_read_from_the_subscription() -> None:
    assert isinstance(inspect.getattr_static(SubscriptionState, "subscription"), property)
    assert isinstance(inspect.getattr_static(TopicPartitionState, "has_valid_position"), property)
    assert isinstance(inspect.getattr_static(TopicPartitionState, "position"), property)


def test_the_group_is_asked_and_answers_where_the_lease_listens() -> None:
    """`Lease.watch` stands in the place of `_send_req`: heartbeats and the sync that ends a join go through it."""
    assert "await self._send_req(request)" in inspect.getsource(GroupCoordinator._do_heartbeat)
    assert "await self._coordinator._send_req(request)" in inspect.getsource(
        CoordinatorGroupRebalance._send_sync_group_request
    )
    assert "HeartbeatRequest(" in inspect.getsource(GroupCoordinator._do_heartbeat)
    assert "SyncGroupRequest(" in inspect.getsource(CoordinatorGroupRebalance)
    assert "self._coordinator = GroupCoordinator(" in inspect.getsource(aiokafka.AIOKafkaConsumer.start)
    assert "await self._consumer.start()" in inspect.getsource(driver.AIOKafkaConsumerThread.on_start)


def test_a_fetch_outside_of_the_log_raises_and_leaves_the_position_where_it_is() -> None:
    """The reset policy "none" is needed; any other moves the position without a word. A seek removes what it finds."""
    fetch = inspect.getsource(Fetcher._proc_fetch_request)
    assert "err = Errors.OffsetOutOfRangeError({tp: fetch_offset})" in fetch
    assert fetch.count("await_reset(") == 1
    assert (
        "if self._default_reset_strategy != OffsetResetStrategy.NONE:\n                           "
        " tp_state.await_reset(" in fetch
    )
    assert "err = Errors.NoOffsetForPartitionError(tp)" in inspect.getsource(Fetcher._update_fetch_positions)
    assert "del self._records[tp]" in inspect.getsource(Fetcher.seek_to)
    assert "auto_offset_reset=conf.consumer_auto_offset_reset" in inspect.getsource(
        driver.AIOKafkaConsumerThread._create_worker_consumer
    )


def test_what_a_worker_needs_of_aiokafka_is_where_it_is_watched() -> None:
    """Errors of these tasks are told to who calls `getmany`, which Faust never does."""
    assert "self._coordination_task = create_task(self._coordination_routine())" in inspect.getsource(
        GroupCoordinator.__init__
    )
    assert "await self._push_error_to_user(exc)" in inspect.getsource(GroupCoordinator)
    assert "self._fetch_task = create_task(self._fetch_requests_routine())" in inspect.getsource(Fetcher.__init__)
    assert "self._sync_task = create_task(self._md_synchronizer())" in inspect.getsource(AIOKafkaClient)
    assert "check_errors" not in inspect.getsource(Fetcher.fetched_records)


def test_the_groups_offsets_are_asked_for_in_one_request() -> None:
    assert list(inspect.signature(GroupCoordinator.fetch_committed_offsets).parameters) == ["self", "partitions"]


def test_faust_runs_its_tasks_where_their_end_is_heard() -> None:
    assert "self._execute_task(coro)" in inspect.getsource(Service.add_future)
    assert "self.add_future(task" in inspect.getsource(Service)
    assert "Worker" in vars(ServiceThread)
    assert drivers.TRANSPORTS.by_url("batches://127.0.0.1:9092").Fetcher is LastingFetcher
    assert "await self._consumer.on_task_error(exc)" in inspect.getsource(App._on_agent_error)


def test_a_members_idle_time_counts_against_the_setting_that_is_set() -> None:
    """aiokafka's heartbeat leaves the group when nothing was fetched for so long.

    A worker that restores fetches nothing.
    """
    assert "max_poll_interval_ms=int(max_poll_interval * 1000.0)" in inspect.getsource(
        driver.AIOKafkaConsumerThread._create_worker_consumer
    )
    assert "idle_time < self._max_poll_interval" in inspect.getsource(GroupCoordinator._heartbeat_routine)
