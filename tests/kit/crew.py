"""Workers that are killed and started again, as a supervisor would; every end that nobody asked for is looked at.

with crew(job, 2, session_timeout_seconds=2) as workers:
    workers.start()
    workers.kill(workers.members[0])
    workers.keep(lambda: …, "what is waited for", 60)      # starts again what died or failed
    workers.stop()
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from processor.sandbox.waiting import wait_until
from tests.kit.whole_job import WholeJob
from tests.kit.worker import KILLED, KitWorker

POLL_SECONDS: Final = 0.1
STOP_SECONDS: Final = 240.0


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
        """Return how many members died by SIGKILL."""
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
        """Start one that rests; SIGTERM to one that works and is not armed, which must end in order."""
        self.look()
        if worker in self._resting:
            self.start(worker)
        elif worker.has_taken_over and worker not in self._armed:
            self._resting.add(worker)
            self._note("stopped")
            worker.stop()

    def look(self) -> None:
        """Start again what died or failed; any other end is a fault."""
        for worker in self.members:
            code = None if worker in self._resting else worker.exit_code()
            if code is None:
                continue
            self._note_end(worker, code)
            self._begin(worker, None)

    def keep(self, done: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait for a condition, and look after the members meanwhile."""

        def looked() -> bool:
            self.look()
            return done()

        wait_until(looked, what, seconds, POLL_SECONDS)

    def go_through(self, chains: Mapping[KitWorker, Sequence[str]], seconds: float) -> None:
        """Start members again and again, each time with the next fault of their chain.

        They rest when they died of the last.

        `seconds`: how long one life may last before its death.
        """
        left = {worker: deque(faults) for worker, faults in chains.items()}
        for worker, faults in left.items():
            self.start(worker, fault=faults[0])
        while any(left.values()):
            deaths = self.deaths.total()
            wait_until(
                lambda: self._advance(left) or self.deaths.total() > deaths,  # noqa: B023  # called at once
                f"deaths at {left.values()}",
                seconds,
                POLL_SECONDS,
            )

    def _advance(self, left: Mapping[KitWorker, deque[str]]) -> None:
        for worker, faults in left.items():
            if not faults or (code := worker.exit_code()) is None:
                continue
            self._note_end(worker, code)
            if code == KILLED:
                faults.popleft()
            if faults:
                self._begin(worker, faults[0])
            else:
                self._resting.add(worker)

    def stop(self) -> None:
        """SIGTERM to all that work, once all have taken over; each must end with exit code 0.

        Who is still armed is killed before.
        """
        for worker in list(self._armed):
            self.kill(worker)
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

    def _note_end(self, worker: KitWorker, code: int) -> None:
        assert code == KILLED or worker.has_failed(code), f"exit code {code}:\n{worker.log_tail()}"
        assert code != KILLED or worker in self._armed, "killed by nobody"
        self._note(self._armed[worker] if code == KILLED else "failed")

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
