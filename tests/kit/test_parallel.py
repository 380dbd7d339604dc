"""Tests in several processes share one broker, and the slowest start first."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.kit.distribution import KafkaUnavailable
from tests.kit.kafka import KafkaFailed
from tests.kit.parallel import SharedBroker, shared_broker, slowest_first


def item(nodeid: str, group: str | None = None) -> pytest.Item:
    marker = None if group is None else SimpleNamespace(args=(group,))
    return cast("pytest.Item", SimpleNamespace(nodeid=nodeid, get_closest_marker=lambda name: marker))


def told_by(broker: SharedBroker) -> pytest.Config:
    node = SimpleNamespace(workerinput={})
    broker.pytest_configure_node(node)
    return cast("pytest.Config", node)


def test_the_slowest_tests_start_first_and_a_group_stays_together_in_its_order() -> None:
    items = [
        item("a.py::fast"),
        item("b.py::one", "b"),
        item("c.py::slow[1]"),
        item("b.py::two[x]", "b"),
        item("d.py::new"),
    ]

    ordered = slowest_first(items, {"b.py::one": 3.0, "b.py::two": 4.0, "c.py::slow": 5.0, "a.py::fast": 1.0})

    assert [found.nodeid for found in ordered] == [
        "b.py::one",
        "b.py::two[x]",
        "c.py::slow[1]",
        "a.py::fast",
        "d.py::new",
    ]


def test_every_process_gets_the_address_of_the_broker_that_the_controller_has(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER", kafka)
    broker = SharedBroker()

    with shared_broker(told_by(broker)) as one, shared_broker(told_by(broker)) as other:
        assert (one, other) == (kafka, kafka)
    broker.pytest_unconfigure()


@pytest.mark.parametrize(("told", "raised"), [("kafka_unavailable", KafkaUnavailable), ("kafka_failed", KafkaFailed)])
def test_a_broker_that_the_controller_could_not_have_is_as_missing_for_every_process(
    told: str, raised: type[Exception]
) -> None:
    config: Any = SimpleNamespace(workerinput={told: "`java` is missing"})

    with pytest.raises(raised, match="`java` is missing"), shared_broker(config):
        pass


def test_quiet_tests_stand_where_make_test_looks_for_them() -> None:
    root = Path(__file__).parents[2]
    marker = re.compile(r"^@pytest\.mark\.quiet$", re.MULTILINE)
    folders = {path.parent for path in (root / "tests").rglob("test_*.py") if marker.search(path.read_text())}

    (command,) = re.findall(r"pytest (.*) -m \"quiet and not long\"", (root / "Makefile").read_text())

    assert folders <= {root / folder for folder in command.split()}
