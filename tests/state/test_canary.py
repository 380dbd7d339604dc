"""The insides of Faust that recovery and store lean on are as they were; a Faust that moved them fails here."""

import inspect

import faust
from faust.stores.base import SerializedStore
from faust.tables import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped


def test_faust_is_the_version_that_was_read() -> None:
    assert faust.__version__ == "0.15.3"


def test_recovery_has_the_tasks_and_signals_that_are_replaced_and_used() -> None:
    for name in (
        "_slurp_changelogs",
        "_restart_recovery",
        "_wait",
        "_set_recovery_started",
        "on_recovery_completed",
        "signal_recovery_start",
    ):
        assert hasattr(Recovery, name), name
    source = inspect.getsource(Recovery.on_rebalance)
    assert "self.signal_recovery_start.set()" in source
    assert "self._generation_id = generation_id" in source
    assert "self.add_active(table, tp)" in source
    assert issubclass(RebalanceAgain, Exception)
    assert issubclass(ServiceStopped, Exception)


def test_the_last_step_of_recovery_seeks_and_resumes() -> None:
    source = inspect.getsource(Recovery.on_recovery_completed)

    assert source.index("consumer.perform_seek()") < source.index("consumer.resume_flow()")


def test_the_table_manager_makes_its_recovery_in_a_property() -> None:
    assert isinstance(inspect.getattr_static(TableManager, "recovery"), property)
    assert "_recovery" in TableManager.__annotations__


def test_the_table_manager_starts_by_what_ours_does() -> None:
    source = inspect.getsource(TableManager.on_start)

    assert [line.strip() for line in source.splitlines()[2:]] == [
        "await self.sleep(1.0)",
        "if not self.should_stop:",
        "await self._update_channels()",
        "await self.recovery.start()",
    ]


def test_a_serialized_store_asks_for_what_ours_has() -> None:
    assert SerializedStore.__abstractmethods__ >= {
        "_get",
        "_set",
        "_del",
        "_iterkeys",
        "_itervalues",
        "_iteritems",
        "_size",
        "_contains",
        "_clear",
    }
