"""Tests in several processes (`pytest -n 4 --dist loadgroup`): one broker for all of them, and the slowest tests first.

    controller   starts the broker that BROKER asks for, and passes its address on ──workerinput──► processes that test

A broker ends with the process that started it, and the controller outlives the others. Each process that tests has its
own Kinesis endpoint, which serves one request at a time. `tests/durations.json` says how long tests took when they were
last recorded (`make durations`); a test that it does not name counts as fast.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.kit.brokers import asked_broker
from tests.kit.distribution import KafkaUnavailable
from tests.kit.kafka import KafkaFailed

DURATIONS: Final = Path(__file__).parents[1] / "durations.json"
RECORDED_FROM_SECONDS: Final = 0.5
"""Faster tests are not recorded: their order changes nothing."""

_ADDRESS, _UNAVAILABLE, _FAILED = "kafka", "kafka_unavailable", "kafka_failed"


class SharedBroker:
    """The broker of a test run in several processes, on the side of the controller; started for the first of them."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._told: dict[str, str] = {}

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: object) -> None:
        """Tell a process that will test where the broker is, or why there is none."""
        if not self._told:
            self._told = self._start()
        node.workerinput.update(self._told)  # type: ignore[attr-defined]  # xdist's WorkerController

    def pytest_unconfigure(self) -> None:
        """Stop the broker, if it was started."""
        self._stack.close()

    def _start(self) -> dict[str, str]:
        try:
            return {_ADDRESS: self._stack.enter_context(asked_broker())}
        except KafkaUnavailable as missing:
            return {_UNAVAILABLE: str(missing)}
        except KafkaFailed as failed:
            return {_FAILED: str(failed)}


@contextmanager
def shared_broker(config: pytest.Config) -> Iterator[str]:
    """The address of the controller's broker, or of one of this process' own; raises KafkaUnavailable, KafkaFailed."""
    told: Mapping[str, str] | None = getattr(config, "workerinput", None)
    if told is None:
        with asked_broker() as address:
            yield address
        return
    if _UNAVAILABLE in told:
        raise KafkaUnavailable(told[_UNAVAILABLE])
    if _FAILED in told:
        raise KafkaFailed(told[_FAILED])
    yield told[_ADDRESS]


class Durations:
    """Records how many seconds each test took, set-up and tear-down included, on the side of the controller."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add one phase of one test."""
        self._seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        """Write `tests/durations.json`: of a test with parameters, its slowest case."""
        slowest: defaultdict[str, float] = defaultdict(float)
        for nodeid, seconds in self._seconds.items():
            slowest[name_of_test(nodeid)] = max(slowest[name_of_test(nodeid)], seconds)
        recorded = {
            name: round(seconds, 1) for name, seconds in sorted(slowest.items()) if seconds >= RECORDED_FROM_SECONDS
        }
        DURATIONS.write_text(json.dumps(recorded, indent=0) + "\n")


def slowest_first(items: Sequence[pytest.Item], seconds: Mapping[str, float]) -> list[pytest.Item]:
    """Order tests by the seconds that their group takes; tests of one `xdist_group` stay together, in their order."""
    groups: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        marker = item.get_closest_marker("xdist_group")
        groups[item.nodeid if marker is None else f"@{marker.args[0]}"].append(item)
    ordered = sorted(
        groups.values(), key=lambda group: -sum(seconds.get(name_of_test(item.nodeid), 0.0) for item in group)
    )
    return [item for group in ordered for item in group]


def recorded_durations() -> dict[str, float]:
    """Seconds by test, as recorded last; empty where nothing was recorded."""
    return json.loads(DURATIONS.read_text()) if DURATIONS.exists() else {}


def name_of_test(nodeid: str) -> str:
    """A test's id without its parameters and without the group that xdist adds."""
    return nodeid.partition("[")[0].partition("@")[0]
