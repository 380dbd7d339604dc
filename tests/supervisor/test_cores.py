"""Cores that may be used: those that the process is bound to, within what its control groups leave."""

import os
from pathlib import Path

import pytest

from processor.supervisor.cores import count_cores


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 64 cores, whatever this one has."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)


def cores(folder: Path, groups: str, files: dict[str, str]) -> int:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "own").write_text(groups)
    return count_cores(folder, folder / "own")


@pytest.mark.parametrize(
    ("quota", "wanted"),
    [("max 100000\n", 64), ("200000 100000\n", 2), ("150000 100000\n", 2), ("10000 100000\n", 1), ("", 64)],
)
def test_a_container_has_as_many_cores_as_its_quota_says(tmp_path: Path, quota: str, wanted: int) -> None:
    assert cores(tmp_path, "0::/\n", {"cpu.max": quota}) == wanted


def test_the_quota_of_a_service_or_of_a_group_around_it_counts(tmp_path: Path) -> None:
    files = {"system.slice/cpu.max": "400000 100000\n", "system.slice/exporter.service/cpu.max": "max 100000\n"}

    assert cores(tmp_path, "0::/system.slice/exporter.service\n", files) == 4


def test_control_groups_of_version_1_count_too(tmp_path: Path) -> None:
    groups = "12:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n"
    files = {"cpu,cpuacct/cpu.cfs_quota_us": "300000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}

    assert cores(tmp_path, groups, files) == 3


def test_no_quota_is_none(tmp_path: Path) -> None:
    groups = "4:cpu,cpuacct:/\n"
    files = {"cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}

    assert cores(tmp_path, groups, files) == 64
    assert count_cores(tmp_path / "nowhere", tmp_path / "nowhere") == 64
