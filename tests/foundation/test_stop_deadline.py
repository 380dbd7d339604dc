"""A stop that does not end: the process does, and its log names what did not."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

from processor.foundation.settings import Settings
from processor.foundation.stop_deadline import STOP_SECONDS
from processor.foundation.stop_signals import STOP_SIGNALS
from processor.worker.exit_codes import FAILED
from processor.worker.faust_app import create_app
from processor.worker.faust_worker import Worker

SECONDS: Final = 60.0

# Of a loop that waits for a task that swallows its cancellation, and of one that is held up by a call.
_STOPPING: Final = """
import asyncio, os, sys, time
from processor.foundation.log import configure
from processor.foundation.settings import Settings
from processor.foundation.stop_deadline import end_after

async def closing_a_producer():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

async def main():
    configure(Settings(_env_file=None, log_format="json"))
    end_after(0.2, asyncio.get_running_loop(), lambda: os._exit(3))
    if sys.argv[1] == "held up":
        asyncio.create_task(closing_a_producer())
        await asyncio.sleep(0)
        time.sleep(3600)
    async with asyncio.timeout(0.1):
        await closing_a_producer()

asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["waits", "held up"])
def test_a_process_whose_stop_does_not_end_is_ended_and_its_log_names_the_task(how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _STOPPING, how],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        cwd=Path.cwd(),
    )

    told = json.loads((done.stdout + done.stderr).splitlines()[-1])
    assert done.returncode == 3, done.stderr
    assert told["event"] == "stop_took_too_long"
    assert any("closing_a_producer:" in task for task in told["tasks"]), told
    assert (how == "held up") == any(call.startswith("main:") for call in told["main_thread"]), told


class Ended(BaseException):
    """The process would be over."""


def exit_process(code: int) -> NoReturn:
    raise Ended(code)


@pytest.fixture
def signals_as_before() -> Iterator[None]:
    """The handlers of stop signals, set back."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals_as_before")
async def test_a_worker_that_begins_to_stop_has_a_deadline(tmp_path: Path) -> None:
    deadlines: list[tuple[float, asyncio.AbstractEventLoop, Any]] = []
    app = create_app(Settings(_env_file=None, data_dir=tmp_path))  # type: ignore[call-arg]  # pydantic-settings' own argument
    worker = Worker(app, exit_process=exit_process, end_late_stop=lambda *given: deadlines.append(given))

    worker.on_worker_shutdown()

    ((seconds, loop, end),) = deadlines
    assert (seconds, loop) == (STOP_SECONDS, worker.loop)
    with pytest.raises(Ended) as ended:
        end()
    assert ended.value.args == (FAILED,)
