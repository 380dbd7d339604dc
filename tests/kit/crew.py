"""Workers that are killed and started again, as a supervisor would; every end that nobody asked for is looked at.

    with crew(job, 2, session_timeout_seconds=2) as workers:
        workers.start()
        workers.kill(workers.members[0])
        workers.keep(lambda: …, "what is waited for", 60)      # starts again what died or failed
        workers.stop()
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from processor.demo.waiting import wait_until
from processor.worker import FAILED
from tests.kit.whole_job import WholeJob
from tests.kit.worker import KILLED, KitWorker

POLL_SECONDS: Final = 0.1
STOP_SECONDS: Final = 60.0


class Crew:
    """`deaths` counts how the members ended: by the fault they were armed with, "killed", "failed", "stopped"."""

    def __init__(self, job: WholeJob, members: list[KitWorker], folders: list[Path]) -> None:
        self.job, self.members, self.folders = job, members, folders
        self.deaths: Counter[str] = Counter()
        self.started_at = datetime.now(UTC)
        self._armed: dict[KitWorker, str] = {}
        self._resting: set[KitWorker] = set(members)

    @property
    def kills(self) -> int:
        """How many members died by SIGKILL."""
        return self.deaths.total() - self.deaths["failed"] - self.deaths["stopped"]

    def start(self, *workers: KitWorker, fault: str | None = None) -> None:
        """Start these (none named: all) again and again from now on, the first time with a fault."""
        for worker in workers or self.members:
            self._resting.discard(worker)
            self._begin(worker, fault)

    def kill(self, worker: KitWorker, *, fault: str | None = None) -> None:
        """SIGKILL one that works, and start it again, with a fault."""
        self.look()
        if worker not in self._resting and worker.exit_code() is None:
            self._note("killed")
            worker.kill()
            self._begin(worker, fault)

    def join_or_leave(self, worker: KitWorker) -> None:
        """Start one that rests; SIGTERM to one that works, which must end in order."""
        self.look()
        if worker in self._resting:
            self.start(worker)
        elif worker.has_taken_over:
            self._resting.add(worker)
            self._note("stopped")
            worker.stop()

    def look(self) -> None:
        """Start again what died or failed; any other end is a fault."""
        for worker in self.members:
            code = None if worker in self._resting else worker.exit_code()
            if code is None:
                continue
            assert code in (KILLED, FAILED), f"exit code {code}:\n{worker.log_tail()}"
            self._note(self._armed.get(worker, "killed by nobody") if code == KILLED else "failed")
            self._begin(worker, None)

    def keep(self, done: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait for a condition, and look after the members meanwhile."""

        def looked() -> bool:
            self.look()
            return done()

        wait_until(looked, what, seconds, POLL_SECONDS)

    def dies_at(self, worker: KitWorker, fault: str, seconds: float) -> None:
        """Start a resting or dead member with a fault, and wait until it died of it."""
        before = self.deaths[fault]
        self.start(worker, fault=fault)

        def died() -> bool:
            code = worker.exit_code()
            if code is None:
                return False
            assert code in (KILLED, FAILED), f"exit code {code}:\n{worker.log_tail()}"
            self._note(fault if code == KILLED else "failed")
            if code == FAILED:
                self._begin(worker, fault)
            return self.deaths[fault] > before

        wait_until(died, f"death at {fault}", seconds, POLL_SECONDS)
        self._resting.add(worker)

    def stop(self) -> None:
        """SIGTERM to all that work, once all have taken over; each must end with exit code 0."""
        self.keep(lambda: all(worker.has_taken_over for worker in self._working()), "takeovers", STOP_SECONDS)
        for worker in self._working():
            self._resting.add(worker)
            worker.stop()

    def _working(self) -> list[KitWorker]:
        return [worker for worker in self.members if worker not in self._resting]

    def _begin(self, worker: KitWorker, fault: str | None) -> None:
        worker.arm(fault)
        self._armed.pop(worker, None)
        if fault is not None:
            self._armed[worker] = fault
        worker.start()

    def _note(self, death: str) -> None:
        self.deaths[death] += 1


@contextmanager
def crew(job: WholeJob, count: int, **settings: object) -> Iterator[Crew]:
    """A crew of `count` workers, not started; whatever runs when the context ends is ended."""
    names = [f"member-{number}" for number in range(count)]
    with ExitStack() as stack:
        members = [stack.enter_context(job.new_worker(name, **settings)) for name in names]
        workers = Crew(job, members, [job.folder(name) / "data" for name in names])
        try:
            yield workers
        except BaseException as error:
            for name, worker in zip(names, members, strict=True):
                error.add_note(f"the end of {name}'s log:\n{worker.log_tail()}")
            raise
