"""A supervisor with real processes, small ones that are no workers: signals, deaths, words, lines, orphans."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import orjson
import pytest

from processor.foundation.stop_signals import STOP_SIGNALS
from processor.sandbox.waiting import wait_until
from processor.supervisor.own import directory_of
from tests.kit.installation import Installation
from tests.supervisor.small import WATCHED, SmallSupervisor, small_supervisor

SECONDS: Final = 240.0
UP: Final = 'say(f"up {os.getpid()}")\n'

COUNTS_STOPS: Final = f"""
def stop(number, _):
    heard.append(int(number))
heard = []
for number_of_signal in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number_of_signal, stop)
{UP}
wait_for_go()
say(f"heard {{heard}}")
os.write(1, b"the last words")
os._exit(0)
"""
"""Ends when the test says so, and tells which stop signals came until then."""

FAILS_ONCE: Final = f"""
{UP}
again = folder / "again"
if number == 2 and not again.exists():
    again.touch()
    sys.exit(1)
wait_for_stop()
"""

ENDS_FOR_OPERATOR: Final = f"""
from processor.foundation.errors import StoppedForOperator, UsageError
from processor.foundation.last_line import write_last_line
{UP}
if number == 2:
    error = {{3: StoppedForOperator, 2: UsageError}}[CODE]("the place: what happened\\n  the remedy")
    write_last_line(error)
    os._exit(error.exit_code)
wait_for_stop()
"""

SAYS_ANYTHING: Final = f"""
{UP}
print("printed")
say("{{no object}}")
os.write(2, b"no end")
time.sleep(0.1)
os.write(1, b" of it\\n")
wait_for_stop()
"""

WRITES_64_MIB: Final = f"""
{UP}
for _ in range(64):
    say("x" * 2**20)
(folder / "done").touch()
wait_for_stop()
"""

STOPS_SLOWLY: Final = f"""
{WATCHED}
import fcntl
lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
os.write(lock, f"{{os.getpid()}}\\n".encode())
def stop(*_):
    wait_for_go()
    say("stopped")
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
{UP}
wait_for_stop()
"""
"""Works in its directory alone, as a worker does, and needs until the test says so to stop."""

LEAVES_A_CHILD: Final = f"""
{UP}
import subprocess
subprocess.Popen(["sleep", "600"])
say("leaves a child")
wait_for_stop()
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    installation = Installation("127.0.0.1:1", tmp_path / "data")
    installation.change(log_format="console")
    return installation.env


def is_there(pid: int) -> bool:
    """Return whether a process runs; one that has ended, and that nobody waited for, does not (proc(5))."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_stop_reaches_each_process_once_and_what_it_says_last_is_kept(
    environment: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    """So does Ctrl-C, which a terminal sends to the whole process group of the supervisor, and a second stop."""
    with SmallSupervisor(tmp_path, 3, COUNTS_STOPS, environment=environment) as supervisor:
        for process in (1, 2, 3):
            supervisor.wait_until_said(f"process {process} | up ")
        groups = {os.getpgid(pid) for process in (1, 2, 3) for pid in supervisor.pids(process)}
        supervisor.process.send_signal(number)
        supervisor.wait_until_said("processes_stop ")
        supervisor.process.send_signal(number)
        supervisor.wait_until_said("processes_still_stop ")
        (tmp_path / "data" / "go").touch()
        code = supervisor.wait()

    said = supervisor.stderr.splitlines()
    assert code == 0
    assert os.getpgid(0) not in groups, "a terminal's Ctrl-C would reach them too"
    assert supervisor.stdout == ""
    for process in (1, 2, 3):
        _, *lines = [line for line in said if line.startswith(f"process {process} | ")]
        assert lines == [f"process {process} | heard [15]", f"process {process} | the last words"]


def test_a_process_that_is_killed_or_fails_starts_again_and_the_others_go_on(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with SmallSupervisor(tmp_path, 2, FAILS_ONCE, environment=environment) as supervisor:
        wait_until(lambda: len(supervisor.pids(2)) == 2, "another start", SECONDS)
        os.kill(supervisor.pids(2)[1], signal.SIGKILL)
        wait_until(lambda: len(supervisor.pids(2)) == 3, "yet another start", SECONDS)
        supervisor.process.terminate()
        ended = supervisor.wait()

    assert ended == 0
    assert len(supervisor.pids(1)) == 1
    assert "exit_code=1 process=2" in supervisor.stderr
    assert "exit_code=-9 process=2" in supervisor.stderr


@pytest.mark.parametrize("code", [2, 3])
@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_process_that_another_start_does_not_help_stops_all_and_its_words_are_the_last_line(
    environment: dict[str, str], tmp_path: Path, code: int, log_format: str
) -> None:
    environment["PROFILE_EXPORTER_LOG_FORMAT"] = log_format
    program = ENDS_FOR_OPERATOR.replace("CODE", str(code))

    with SmallSupervisor(tmp_path, 3, program, environment=environment) as supervisor:
        ended = supervisor.wait()

    said = supervisor.stderr
    assert ended == code
    if log_format == "json":
        told = [orjson.loads(line) for line in said.splitlines()][-1]
        assert (told["event"], told["exit_code"]) == ("ended", code)
        assert (told["reason"], told["remedy"]) == ("process 2: the place: what happened", "the remedy")
    else:
        end = " → the remedy\n" if code == 3 else "\n  the remedy\n"
        assert said.endswith(f"\nprofile-exporter: process 2: the place: what happened{end}")


def test_with_json_every_line_is_one_object_whatever_a_process_writes(
    environment: dict[str, str], tmp_path: Path
) -> None:
    environment["PROFILE_EXPORTER_LOG_FORMAT"] = "json"

    with SmallSupervisor(tmp_path, 2, SAYS_ANYTHING, environment=environment) as supervisor:
        wait_until(lambda: supervisor.stderr.count("no end of it") == 2, "all lines", SECONDS)
        supervisor.process.terminate()
        ended = supervisor.wait()

    lines = [orjson.loads(line) for line in supervisor.stderr.splitlines()]
    events = {line["event"] for line in lines}
    assert ended == 0
    assert {"supervisor_starts", "process_starts", "processes_stop", "process_stopped"} <= events
    for process in (1, 2):
        _, *texts = [line["text"] for line in lines if line["event"] == "printed" and line["process"] == process]
        assert texts == ["printed", "{no object}", "no end of it"]


def test_nobody_who_does_not_read_the_log_holds_a_process_up(environment: dict[str, str], tmp_path: Path) -> None:
    """A process writes 64 MiB below a supervisor whose stderr nobody reads: a terminal with Ctrl-S, say."""
    command, env = small_supervisor(tmp_path, 1, WRITES_64_MIB, environment)

    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE) as supervisor:
        wait_until((tmp_path / "data" / "done").exists, "the end of the writing", SECONDS)
        supervisor.terminate()
        _, said = supervisor.communicate(timeout=SECONDS)

    assert supervisor.returncode == 0
    assert b"lines_dropped" in said, "nothing was left out: the test proves nothing"


def test_processes_whose_supervisor_is_killed_stop_in_order_and_say_so_and_the_next_supervisor_waits_for_them(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with SmallSupervisor(tmp_path, 2, STOPS_SLOWLY, environment=environment) as killed:
        for process in (1, 2):
            killed.wait_until_said(f"process {process} | up ")
        orphans = [pid for process in (1, 2) for pid in killed.pids(process)]
        killed.process.kill()
        killed.wait()
        with SmallSupervisor(tmp_path, 3, STOPS_SLOWLY, environment=environment) as supervisor:
            supervisor.wait_until_said("waiting_for_processes_without_supervisor")
            (tmp_path / "data" / "go").touch()
            wait_until(lambda: [len(supervisor.pids(each)) for each in (1, 2, 3)] == [2, 2, 1], "new ones", SECONDS)
            gone = not any(map(is_there, orphans))
            supervisor.process.terminate()
            ended = supervisor.wait()

    said = supervisor.stderr.splitlines()
    assert gone, "two processes work in one directory"
    assert ended == 0
    assert sum("supervisor_gone" in line for line in said) == 2
    assert said.count("stopped") == 2, "what an orphan writes at its end is lost"


def test_a_process_that_ends_while_another_holds_its_output_is_done_all_the_same(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with SmallSupervisor(tmp_path, 1, LEAVES_A_CHILD, environment=environment) as supervisor:
        supervisor.wait_until_said("leaves a child")
        session = supervisor.pids(1)[0]
        supervisor.process.terminate()
        ended = supervisor.wait()
    os.killpg(session, signal.SIGKILL)

    assert ended == 0


ON_A_TERMINAL: Final = "import pty, sys; pty.spawn(sys.argv[1:])"
STOPS_AND_LEAVES_A_FILE: Final = f"""
{WATCHED}
def stop(number, _):
    with (folder / "heard").open("a") as heard:
        heard.write(f"{{number}}\\n")
    print("stops")
    time.sleep(1)
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGHUP, stop)
{UP}
wait_for_stop()
"""


@pytest.mark.parametrize("how", ["Ctrl-C", "closed"])
def test_a_terminals_ctrl_c_and_its_end_stop_each_process_once_and_in_order(
    environment: dict[str, str], tmp_path: Path, how: str
) -> None:
    """SIGINT goes to all of the terminal's foreground, SIGHUP to its session: processes are in neither."""
    command, env = small_supervisor(tmp_path, 2, STOPS_AND_LEAVES_A_FILE, environment)
    files = [directory_of(tmp_path / "data", process) / "heard" for process in (1, 2)]

    with subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL, *command], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as terminal:
        said, pids = b"", []
        assert terminal.stdin is not None
        assert terminal.stdout is not None
        while len(pids) < 2:
            said += os.read(terminal.stdout.fileno(), 65_536)
            pids = [int(pid) for pid in re.findall(rb"process \d \| up (\d+)\r", said)]
        if how == "closed":
            terminal.kill()
        else:
            terminal.stdin.write(b"\x03")
            terminal.stdin.flush()
        wait_until(lambda: not any(map(is_there, pids)), "the end of the processes", SECONDS)
        terminal.communicate(timeout=SECONDS)

    assert [file.read_text() for file in files] == [f"{int(signal.SIGTERM)}\n"] * 2
