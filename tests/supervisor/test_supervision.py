"""Processes that are started, start again, and stop: an hour of it in no time, with processes that are made up."""

import asyncio
import signal
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Final

from processor.foundation.errors import CommandError
from processor.supervisor.supervision import KILL_SECONDS, Supervision
from tests.kit.virtual_time import in_virtual_time

FOR_EVER: Final = 1e9
WORDS: Final = "what happened\n  what to do"


@dataclass
class Life:
    """How a made-up process runs and ends; `stops_seconds` after it was told to."""

    seconds: float = FOR_EVER
    code: int = 0
    stops_seconds: float = 2.0
    stop_code: int = 0


@dataclass
class MadeUpProcess:
    """A process that lives as it was told, and keeps what it heard."""

    life: Life
    pid: int = 1
    heard: list[tuple[str, float]] = field(default_factory=list)
    ended: "asyncio.Future[int]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def __post_init__(self) -> None:
        self._end_after(self.life.seconds, self.life.code)

    def stop(self) -> None:
        self.heard.append(("stop", now()))
        self._end_after(self.life.stops_seconds, self.life.stop_code)

    def kill(self) -> None:
        self.heard.append(("kill", now()))
        self._end_after(0, -signal.SIGKILL)

    async def wait(self) -> int:
        return await asyncio.shield(self.ended)

    def find_words(self) -> str | None:
        return WORDS

    def _end_after(self, seconds: float, code: int) -> None:
        asyncio.get_running_loop().call_later(seconds, lambda: self.ended.done() or self.ended.set_result(code))


class Machine:
    """Starts made-up processes: the lives of each number in turn, then one for ever."""

    def __init__(self, **lives: list[Life | OSError]) -> None:
        self.lives = {int(name.removeprefix("p")): list(each) for name, each in lives.items()}
        self.started: dict[int, list[float]] = defaultdict(list)
        self.processes: dict[int, list[MadeUpProcess]] = defaultdict(list)

    async def start(self, number: int) -> MadeUpProcess:
        self.started[number].append(round(now(), 3))
        lives = self.lives.get(number)
        life = lives.pop(0) if lives else Life()
        if isinstance(life, OSError):
            raise life
        self.processes[number].append(MadeUpProcess(life))
        return self.processes[number][-1]

    def heard(self, number: int) -> list[tuple[str, float]]:
        """What the last process of a number heard."""
        return [(what, round(when, 3)) for what, when in self.processes[number][-1].heard]


def now() -> float:
    return asyncio.get_running_loop().time()


async def run(machine: Machine, count: int, stop_at: float | None = None) -> CommandError | None:
    supervision = Supervision(machine.start, count)
    if stop_at is not None:
        asyncio.get_running_loop().call_later(stop_at, supervision.request_stop, "a test")
    return await supervision.run()


def played(story: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
    return in_virtual_time(story)


@played
async def test_all_processes_start_at_once_and_each_hears_one_stop() -> None:
    machine = Machine()

    reason = await run(machine, 3, stop_at=3600)

    assert reason is None
    assert {number: machine.started[number] for number in (1, 2, 3)} == {1: [0], 2: [0], 3: [0]}
    assert {number: machine.heard(number) for number in (1, 2, 3)} == {each: [("stop", 3600)] for each in (1, 2, 3)}


@played
async def test_a_process_that_fails_starts_again_later_and_later_while_the_others_go_on() -> None:
    machine = Machine(p2=[Life(1, code=1)] * 5)

    reason = await run(machine, 2, stop_at=3600)

    assert reason is None
    assert machine.started[1] == [0]
    assert machine.started[2] == [0, 2, 5, 10, 19, 36]


@played
async def test_a_process_that_ran_for_a_minute_starts_again_after_a_second() -> None:
    machine = Machine(p1=[Life(1, code=1), Life(1, code=-9), Life(100, code=1), Life(1, code=1)])

    await run(machine, 1, stop_at=3600)

    assert machine.started[1] == [0, 2, 5, 106, 109]


@played
async def test_a_process_that_cannot_be_started_is_tried_again() -> None:
    machine = Machine(p1=[OSError(11, "no more processes"), OSError(11, "no more processes")])

    reason = await run(machine, 1, stop_at=60)

    assert reason is None
    assert machine.started[1] == [0, 1, 3]


@played
async def test_a_process_that_stops_for_the_operator_stops_all_in_order_and_gives_its_words() -> None:
    machine = Machine(p1=[Life(stops_seconds=30)], p2=[Life(100, code=3)])

    reason = await run(machine, 3)

    assert reason is not None
    assert reason.exit_code == 3
    assert str(reason) == f"process 2: {WORDS}"
    assert machine.heard(2) == []
    assert machine.heard(1) == machine.heard(3) == [("stop", 100)]
    assert round(now()) == 130, "the slowest is waited for"


@played
async def test_a_stop_ends_the_wait_of_a_process_that_was_to_start_again() -> None:
    machine = Machine(p1=[Life(1, code=1)] * 9)

    reason = await run(machine, 1, stop_at=190)

    assert reason is None
    assert machine.started[1] == [0, 2, 5, 10, 19, 36, 69, 130]
    assert round(now()) == 190


@played
async def test_a_process_that_does_not_stop_is_killed_after_its_own_deadline_and_the_exit_code_is_1() -> None:
    machine = Machine(p2=[Life(stops_seconds=FOR_EVER)])

    reason = await run(machine, 2, stop_at=100)

    assert machine.heard(1) == [("stop", 100)]
    assert machine.heard(2) == [("stop", 100), ("kill", 100 + KILL_SECONDS)]
    assert reason is not None
    assert reason.exit_code == 1
    assert "process 2 did not end within 70 s of SIGTERM, and was killed" in str(reason)


@played
async def test_what_needs_the_operator_is_told_also_when_it_comes_while_all_stop_on_request() -> None:
    machine = Machine(p1=[Life(stop_code=1)], p2=[Life(stop_code=3)])

    reason = await run(machine, 2, stop_at=100)

    assert reason is not None
    assert reason.exit_code == 3


@played
async def test_a_second_stop_changes_nothing() -> None:
    machine = Machine(p1=[Life(stops_seconds=20)])
    supervision = Supervision(machine.start, 1)
    for moment in (100, 101, 102):
        asyncio.get_running_loop().call_later(moment, supervision.request_stop, "a test")

    reason = await supervision.run()

    assert reason is None
    assert machine.heard(1) == [("stop", 100)]
    assert round(now()) == 120


@played
async def test_a_stop_that_comes_while_a_process_is_being_started_reaches_it() -> None:
    class Slow(Machine):
        async def start(self, number: int) -> MadeUpProcess:
            await asyncio.sleep(10)
            return await super().start(number)

    machine = Slow()

    reason = await run(machine, 1, stop_at=5)

    assert reason is None
    assert machine.heard(1) == [("stop", 10)]
