"""The state directory: one worker each, and a name that outlives restarts."""

import os
from pathlib import Path

import pytest

from state.directory import DirectoryInUse, DirectoryUnusable, StateDirectory


def test_a_directory_is_made_and_named_once(tmp_path: Path) -> None:
    first = StateDirectory.lock(tmp_path / "new" / "data", lambda: "aaaaaaaa")
    first.close()

    second = StateDirectory.lock(tmp_path / "new" / "data", lambda: "bbbbbbbb")
    second.close()

    assert first.name == second.name
    assert first.name.endswith("-aaaaaaaa")


def test_a_second_worker_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    held = StateDirectory.lock(tmp_path, lambda: "aaaaaaaa")

    with pytest.raises(DirectoryInUse, match=f"process {os.getpid()}"):
        StateDirectory.lock(tmp_path, lambda: "bbbbbbbb")
    held.close()
    StateDirectory.lock(tmp_path, lambda: "bbbbbbbb").close()


def test_a_path_that_cannot_be_a_directory_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(DirectoryUnusable, match="file"):
        StateDirectory.lock(tmp_path / "file", lambda: "aaaaaaaa")
