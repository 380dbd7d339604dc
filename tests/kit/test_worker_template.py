"""A worker that is forked is a worker as any other: its settings, its session, its log and its death are its own."""

import os
from pathlib import Path

import pytest

from processor.foundation.errors import UsageError
from processor.foundation.fault_points import VARIABLE
from processor.sandbox.waiting import wait_until
from tests.kit.installation import Installation
from tests.kit.worker import KILLED, KitWorker
from tests.kit.worker_template import CAN_FORK, template

SECONDS = 120.0
NOBODY_THERE = "127.0.0.1:1"

pytestmark = pytest.mark.skipif(not CAN_FORK, reason="NO PIDFD, NOT TESTED: workers that are forked")


def new_worker(folder: Path, **settings: object) -> KitWorker:
    installation = Installation(NOBODY_THERE, folder / "data")
    installation.change(log_format="console", **settings)
    return KitWorker(installation.env, folder)


def test_workers_have_a_folder_a_session_and_an_end_of_their_own(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()

    with (
        new_worker(folders[0], broker_wait_seconds=SECONDS) as one,
        new_worker(folders[1], broker_wait_seconds=SECONDS) as two,
    ):
        for worker in (one, two):
            worker.start()
        for worker in (one, two):
            wait_until(lambda: "waiting_for_broker" in worker.said(), "a worker", SECONDS)  # noqa: B023  # called at once
        sessions = [os.getsid(worker.pid) for worker in (one, two)]
        places = [Path(f"/proc/{worker.pid}/cwd").readlink() for worker in (one, two)]
        one.kill()
        codes = [one.exit_code(), two.exit_code()]

    assert sessions == [one.pid, two.pid]
    assert places == folders
    assert codes == [KILLED, None]
    assert two.exit_code() is not None, "it outlived its context"


def test_a_worker_reads_its_settings_and_ends_with_its_exit_code(tmp_path: Path) -> None:
    with new_worker(tmp_path, partitions="many") as worker:
        worker.start()
        code = worker.wait_for_end(SECONDS)
        worker.change(partitions="few")
        worker.start()
        again = worker.wait_for_end(SECONDS)

    assert [code, again] == [UsageError.exit_code] * 2
    assert "='many'" in worker.said()
    assert "='few'" in worker.said()


def test_the_template_has_no_threads_that_a_fork_would_lose() -> None:
    """A canary: a library that starts a thread, or an event loop, when it is imported must not be in the template."""
    assert len(list(Path(f"/proc/{template().pid}/task").iterdir())) == 1
    links = [link.readlink().name for link in Path(f"/proc/{template().pid}/fd").iterdir()]
    assert not any("event" in name for name in links), links


def test_a_worker_with_a_fault_point_is_not_forked(tmp_path: Path) -> None:
    """Fault points are armed when they are imported: the template has imported them, and armed none."""
    with new_worker(tmp_path, broker_wait_seconds=SECONDS) as worker:
        worker.environment[VARIABLE] = "no_such_point"
        worker.start()
        worker.wait_for_end(SECONDS)

    assert "no_such_point is none of" in worker.said()
