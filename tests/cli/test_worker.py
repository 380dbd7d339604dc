"""`profile-exporter worker --processes`: what may stand there, and what is said of the rest before anything starts."""

from pathlib import Path

import pytest

from processor.foundation.settings_environment import env_name
from tests.kit.installation import Installation


@pytest.fixture
def nowhere(tmp_path: Path) -> Installation:
    """An installation whose broker is not there: nothing of this needs one."""
    installation = Installation("127.0.0.1:1", tmp_path / "data")
    installation.change(log_format="console", partitions=4)
    return installation


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "1.5", "10000", ""])
def test_what_is_no_number_of_processes_is_refused_in_words(nowhere: Installation, wrong: str) -> None:
    result = nowhere.command("worker", "--processes", wrong)

    assert result.exit_code == 2
    assert "'--processes'" in result.stderr
    assert f"{wrong!r} is not a number from 1 to 9999, nor auto." in result.stderr


@pytest.mark.parametrize("wrong", ["0", "many"])
def test_so_it_is_where_the_environment_says_it(nowhere: Installation, wrong: str) -> None:
    nowhere.change(processes=wrong)

    worker = nowhere.command("worker")
    other = nowhere.command("status")

    assert (worker.exit_code, other.exit_code) == (2, 2)
    assert f"{wrong!r} is not a number from 1 to 9999, nor auto" in worker.stderr
    assert env_name("processes") in worker.stderr


@pytest.mark.parametrize("by_option", [True, False])
def test_more_processes_than_partitions_are_refused_with_the_remedy_and_nothing_is_made(
    nowhere: Installation, tmp_path: Path, by_option: bool
) -> None:
    if not by_option:
        nowhere.change(processes=5)

    result = nowhere.command("worker", *(["--processes", "5"] if by_option else []))

    assert result.exit_code == 2
    assert result.stderr == (
        "profile-exporter: --processes 5: there are 4 partitions, and each has one owner: some processes would do"
        " nothing\n  name at most 4, or auto (PROFILE_EXPORTER_PROCESSES)\n"
    )
    assert not (tmp_path / "data").exists()
