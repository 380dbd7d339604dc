"""What each process has of its own, how many there may be, and how the program is started again."""

from pathlib import Path
from typing import Any

import pytest

from processor.foundation.errors import UsageError
from processor.foundation.settings import Settings
from processor.foundation.settings_environment import env_name
from processor.supervisor.count import settle_count
from processor.supervisor.own import directory_of, environment_of, lock_processes, name_directories
from processor.supervisor.program import program_words
from state.directory import StateDirectory


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg]  # pydantic-settings' own argument


def test_process_1_works_where_the_only_worker_did_and_the_others_below(tmp_path: Path) -> None:
    folders = [directory_of(tmp_path, process) for process in (1, 2, 11)]

    assert folders == [tmp_path, tmp_path / "processes" / "2", tmp_path / "processes" / "11"]


def test_names_are_those_of_the_first_with_a_number_and_stay(tmp_path: Path) -> None:
    """A worker's name is its static member's id: it must be the same after every start, with any number of others."""
    alone = StateDirectory.lock(tmp_path, lambda: "aaaaaaaa")
    alone.close()

    two, three = name_directories(tmp_path, 2), name_directories(tmp_path, 3)
    second = StateDirectory.lock(directory_of(tmp_path, 2), lambda: "bbbbbbbb")
    second.close()

    assert two == [alone.name, f"{alone.name}-2"]
    assert three == [*two, f"{alone.name}-3"]
    assert second.name == f"{alone.name}-2"


def test_a_second_supervisor_of_the_same_directory_is_refused_in_words(tmp_path: Path) -> None:
    lock_processes(tmp_path)

    with pytest.raises(UsageError, match=r"is in use by a supervisor, process id [0-9]+\n") as refused:
        lock_processes(tmp_path)
    assert env_name("data_dir") in str(refused.value)


def test_a_directory_that_cannot_be_used_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    for act in (lambda: lock_processes(tmp_path / "file"), lambda: name_directories(tmp_path / "file", 2)):
        with pytest.raises(UsageError, match="cannot be used for state"):
            act()


def test_each_process_has_its_directory_and_port_and_the_rest_of_the_environment() -> None:
    given = {"PATH": "/bin", "PROFILE_EXPORTER_APP_ID": "a", "profile_exporter_data_dir": "elsewhere"}

    first, third = (
        environment_of(process, settings(data_dir="/data", web_port=6066), "json", given) for process in (1, 3)
    )

    assert first[env_name("data_dir")] == "/data"
    assert third[env_name("data_dir")] == "/data/processes/3"
    assert (first[env_name("web_port")], third[env_name("web_port")]) == ("6066", "6068")
    assert third[env_name("log_format")] == "json"
    assert (third["PATH"], third[env_name("app_id")]) == ("/bin", "a")
    assert "profile_exporter_data_dir" not in third, "settings are read in any case"


def test_without_a_web_port_no_process_has_one() -> None:
    assert env_name("web_port") not in environment_of(2, settings(), "console", {})


@pytest.mark.parametrize(
    ("wanted", "cores", "count"), [(1, 8, 1), (3, 1, 3), ("auto", 3, 3), ("auto", 64, 4), ("auto", 1, 1)]
)
def test_so_many_processes_run_as_were_named_or_one_a_core(wanted: Any, cores: int, count: int) -> None:
    assert settle_count(wanted, settings(partitions=4), cores) == count


def test_more_processes_than_partitions_are_refused_with_the_remedy() -> None:
    with pytest.raises(UsageError, match=r"there are 4 partitions, and each has one owner.*\n  name at most 4"):
        settle_count(5, settings(partitions=4), 8)


def test_ports_that_there_are_not_are_refused_with_the_remedy() -> None:
    with pytest.raises(UsageError, match=rf"process 3 has port 65536.*\n  lower {env_name('web_port')}"):
        settle_count(3, settings(web_port=65_534), 8)
    assert settle_count(2, settings(web_port=65_534), 8) == 2


@pytest.mark.parametrize(
    ("as_started", "arguments", "words"),
    [
        (["python3", "/bin/exporter", "worker", "-x"], ["/bin/exporter", "worker", "-x"], ["/bin/exporter"]),
        (["python3", "-P", "-m", "processor", "worker"], ["/p/__main__.py", "worker"], ["-P", "-m", "processor"]),
        (["python3", "-c", "code", "worker"], ["-c", "worker"], ["-c", "code"]),
    ],
)
def test_the_program_is_started_again_as_it_was_started(
    as_started: list[str], arguments: list[str], words: list[str]
) -> None:
    assert program_words("/bin/python", as_started, arguments) == ["/bin/python", *words]
