"""Count the cores that this process may use: those that it is bound to, within the quotas of its groups.

A container that may use two of 64 cores has two, whatever the machine has; control groups say so (Linux, cgroups(7)). A
quota of a part of a core counts as a whole one, as Java's runtime counts it.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

CGROUPS: Final = Path("/sys/fs/cgroup")
OWN_CGROUPS: Final = Path("/proc/self/cgroup")
_UNBOUNDED: Final = ("max", "-1")


def count_cores(cgroups: Path = CGROUPS, own_cgroups: Path = OWN_CGROUPS) -> int:
    """Return how many cores this process may use, at least 1."""
    return max(1, min([_bound_cores(), *(math.ceil(quota) for quota in _quotas(cgroups, own_cgroups))]))


def _bound_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(cgroups: Path, own_cgroups: Path) -> Iterator[float]:
    """Yield the quota, in cores, of each control group that has one and holds this process."""
    for line in _read(own_cgroups).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _quotas_of_version_2(cgroups, path)
        elif "cpu" in controllers.split(","):
            yield from _quotas_of_version_1(cgroups / controllers, path)


def _quotas_of_version_2(cgroups: Path, path: str) -> Iterator[float]:
    for folder in _groups(cgroups, path):
        yield from _quota(_read(folder / "cpu.max").split())


def _quotas_of_version_1(cgroups: Path, path: str) -> Iterator[float]:
    for folder in _groups(cgroups, path):
        yield from _quota([_read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")])


def _groups(root: Path, path: str) -> Iterator[Path]:
    """Yield the folder of a group and those of the groups that hold it.

    In a container the root is the container's own group, and the path may name it as the machine does.
    """
    group = Path(path.lstrip("/"))
    yield from (root / folder for folder in (group, *group.parents))


def _quota(words: list[str]) -> Iterator[float]:
    """Yield QUOTA / PERIOD of the two words of a file; nothing where there is no quota."""
    if len(words) == 2 and all(words) and words[0] not in _UNBOUNDED:
        yield int(words[0]) / int(words[1])


def _read(path: Path) -> str:
    """Return the text of a file of the kernel; "" where there is none, or none that we may read."""
    try:
        return path.read_text()
    except OSError:
        return ""
