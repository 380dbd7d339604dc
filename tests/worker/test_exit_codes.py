"""The exit code and the last line of a worker in which more than one thing went wrong."""

from pathlib import Path
from typing import NoReturn

import faust
import pytest

from processor.foundation.gaps import Gap
from processor.foundation.settings import Settings
from processor.worker.faust_app import create_app
from processor.worker.faust_worker import Worker
from processor.worker.start_positions import RecordsAreGone


class Ended(BaseException):
    """The process would be over."""


def end(code: int) -> NoReturn:
    raise Ended(code)


async def test_a_stop_for_the_operator_stays_one_where_something_fails_while_the_worker_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(faust.Worker, "execute_from_commandline", lambda _: None)
    app = create_app(Settings(_env_file=None, data_dir=tmp_path))  # type: ignore[call-arg]  # pydantic-settings' own argument
    app.stop_reason = RecordsAreGone(Gap("exports", 0, 5, 9), "were not delivered")
    await app.crash(RuntimeError("a producer cannot be closed"))

    with pytest.raises(Ended) as ended:
        Worker(app, exit_process=end).execute_from_commandline()

    assert ended.value.args == (3,)
    assert "exports[0]: offsets 5 to 8 are gone" in capfd.readouterr().err
