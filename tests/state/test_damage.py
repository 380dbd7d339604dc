"""Damaged local state, on real files of RocksDB: what is wiped and what is not, whatever the path is called."""

import errno
import itertools
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from rocksdict import Options, Rdict

from schemas.wire.profiles_changelog import PROFILE, profile_key
from state.damage import DamagedState, Fault, NoSpace, find_fault, wipe
from state.identity import Identity
from state.partition import PartitionStore
from state.store_options import Memory, shared_memory
from tests.kit.disk import small_disk

IDENTITY: Final = Identity("cluster", "app", "app-profiles-changelog", "topic-id", 3, 8)
ROWS: Final = {profile_key(b"p-%04d" % number): os.urandom(200) for number in range(2_000)}
FOLDERS: Final = ("plain", "block-storage", "Permission denied: no space left on device: Too many open files")

Damage = Callable[[Path], None]


def memory() -> Memory:
    return shared_memory(1 << 20, 4 << 20, 1)


def open_store(folder: Path) -> PartitionStore:
    return PartitionStore.open(folder, IDENTITY, memory())


@pytest.fixture(params=FOLDERS)
def copy(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A store of one file with many blocks, in a folder whose name may have words of RocksDB's own texts."""
    folder = tmp_path / request.param / "3"
    with open_store(folder) as store:
        store.apply(ROWS, 5)
        store.compact()
    return folder


def table(folder: Path) -> Path:
    (found,) = folder.glob("*.sst")
    return found


def flip(file: Path, begin: int) -> None:
    content = bytearray(file.read_bytes())
    content[begin : begin + 8] = bytes(0xFF ^ byte for byte in content[begin : begin + 8])
    file.write_bytes(content)


def flip_the_index(folder: Path) -> None:
    """The index block stands behind the rows and the filter, which is 10 bits a row."""
    file = table(folder)
    flip(file, file.read_bytes().rindex(PROFILE + b"p-19"))


def flip_a_data_block(folder: Path) -> None:
    flip(table(folder), table(folder).stat().st_size // 2)


def cut(file: Path, left_bytes: int) -> None:
    os.truncate(file, left_bytes)


FOUND_WHEN_OPENING: Final[dict[str, Damage]] = {
    "a table is missing": lambda folder: table(folder).unlink(),
    "a table is cut": lambda folder: cut(table(folder), table(folder).stat().st_size // 2),
    "the end of a table is damaged": lambda folder: flip(table(folder), table(folder).stat().st_size - 40),
    "MANIFEST is damaged": lambda folder: flip(next(folder.glob("MANIFEST-*")), 20),
    "MANIFEST is missing": lambda folder: next(folder.glob("MANIFEST-*")).unlink(),
    "CURRENT is damaged": lambda folder: flip(folder / "CURRENT", 3),
    "CURRENT is cut": lambda folder: cut(folder / "CURRENT", 3),
}


@pytest.mark.parametrize("damage", FOUND_WHEN_OPENING.values(), ids=FOUND_WHEN_OPENING)
def test_a_copy_whose_damage_is_found_when_it_is_opened_is_wiped_whatever_its_path_is_called(
    copy: Path, damage: Damage
) -> None:
    damage(copy)

    with open_store(copy) as store:
        assert store.changelog_next_offset == 0
        assert list(store.scan()) == []
        store.apply(ROWS, 5)

    with open_store(copy) as store:
        assert dict(store.scan_from(PROFILE)) == ROWS, "wiped once, and whole from then on"


USES: Final[dict[str, Callable[[PartitionStore], object]]] = {
    "reading every row": lambda store: store.get_many(list(ROWS)),
    "a scan of all rows": lambda store: list(store.scan()),
    "a scan of what lies behind": lambda store: list(store.scan_from(PROFILE, profile_key(b"p-0500"))),
    "a compaction": lambda store: store.compact(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("damage", [flip_the_index, flip_a_data_block])
def test_damage_found_while_reading_is_an_error_that_has_the_copy_wiped_at_the_next_start(
    tmp_path: Path, damage: Damage, use: Callable[[PartitionStore], object]
) -> None:
    folder = tmp_path / "block-storage" / "3"
    with open_store(folder) as store:
        store.apply(ROWS, 5)
        store.compact()
    damage(folder)

    with pytest.raises(DamagedState, match="start the worker again, it wipes this copy"), open_store(folder) as store:
        use(store)

    with open_store(folder) as store:
        assert store.changelog_next_offset == 0


def write_much(store: PartitionStore) -> None:
    for number in range(6, 500):
        store.apply(ROWS, number)


def test_a_write_after_a_compaction_in_the_background_met_damage_is_an_error_that_has_the_copy_wiped(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "3"
    with open_store(folder) as store:
        store.apply(ROWS, 5)
    flip_a_data_block(folder)

    with (
        PartitionStore.open(folder, IDENTITY, shared_memory(1 << 20, 64 << 10, 1)) as store,
        pytest.raises(DamagedState),
    ):
        write_much(store)  # RocksDB compacts from its fourth small file on

    with open_store(folder) as store:
        assert store.changelog_next_offset == 0


def test_damage_that_only_the_last_flush_tells_of_has_the_copy_wiped(tmp_path: Path) -> None:
    """A compaction in the background met it, and nothing was written after that."""
    folder = tmp_path / "3"
    with open_store(folder) as store:
        store.apply(ROWS, 5)
        store.compact()
    flip_a_data_block(folder)

    with open_store(folder) as store:
        store.apply(ROWS, 6)
        with pytest.raises(DamagedState):
            store.compact()
        (tmp_path / "damaged-3").unlink()

    assert "Corruption" in (tmp_path / "damaged-3").read_text()


def _put_away(folder: Path) -> None:
    folder.rename(folder.with_name("wiped-3"))


def _half_removed(folder: Path) -> None:
    _put_away(folder)
    folder.with_name("damaged-3").unlink()
    folder.with_name("wiped-3").joinpath("CURRENT").unlink()


STOPPED_WIPES: Final[dict[str, Damage]] = {
    "before the copy was renamed": lambda _: None,
    "before its mark was removed": _put_away,
    "before all its files were removed": _half_removed,
}


@pytest.mark.parametrize("stopped", STOPPED_WIPES.values(), ids=STOPPED_WIPES)
def test_a_wipe_that_was_killed_is_ended_by_the_next_start(tmp_path: Path, stopped: Damage) -> None:
    folder = tmp_path / "3"
    with open_store(folder) as store:
        store.apply(ROWS, 5)
    folder.with_name("damaged-3").write_text("Corruption: block checksum mismatch")
    stopped(folder)

    with open_store(folder) as store:
        assert store.changelog_next_offset == 0
        store.apply(ROWS, 7)

    assert [path.name for path in tmp_path.iterdir()] == ["3"]
    with open_store(folder) as store:
        assert store.changelog_next_offset == 7


def test_a_copy_that_cannot_be_wiped_is_an_error_and_not_a_loop(tmp_path: Path) -> None:
    (tmp_path / "3").write_text("no folder")
    tmp_path.joinpath("wiped-3").write_text("no folder either")

    with pytest.raises(OSError, match="wiped-3"):
        wipe(tmp_path / "3")


# faults of the machine ----------------------------------------------------------------------------------------------


def require_untouched(folder: Path) -> None:
    with open_store(folder) as store:
        assert dict(store.scan_from(PROFILE)) == ROWS


def test_a_copy_that_this_process_holds_open_is_a_fault_of_the_machine_and_stays(copy: Path) -> None:
    with open_store(copy):
        with pytest.raises(Exception, match="No locks available") as failed:
            open_store(copy)
        assert find_fault(failed.value) is Fault.MACHINE

    require_untouched(copy)


_HOLD: Final = """
import sys
from rocksdict import Options, Rdict
database = Rdict(sys.argv[1], Options(raw_mode=True))
print("held", flush=True)
input()
"""


def test_a_copy_that_another_process_holds_open_is_a_fault_of_the_machine_and_stays(copy: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(copy)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Exception, match="Resource temporarily unavailable") as failed:
            open_store(copy)
        holder.communicate("\n")

    assert find_fault(failed.value) is Fault.MACHINE
    require_untouched(copy)


def limit_that_leaves(descriptors: int) -> int:
    """The RLIMIT_NOFILE under which this process can open so many files more: the limit is of numbers, and those in use
    have gaps.
    """
    listed = list(Path("/proc/self/fd").iterdir())  # among them the number of the listing itself, which is free again
    in_use = {int(entry.name) for entry in listed if entry.is_symlink()}
    free = (number for number in itertools.count() if number not in in_use)
    return next(itertools.islice(free, descriptors, None))


def test_too_many_open_files_are_a_fault_of_the_machine_and_the_copy_stays(copy: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    gap = os.open(os.devnull, os.O_RDONLY)
    above = os.open(os.devnull, os.O_RDONLY)
    os.close(gap)
    faults = []
    for more in range(12):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit_that_leaves(more), limits[1]))
        try:
            open_store(copy).close()
        except Exception as error:  # whatever it is, it must be told for what it is
            faults.append(error)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    os.close(above)

    assert len(faults) > 3
    assert {find_fault(fault) for fault in faults} == {Fault.MACHINE}, faults
    require_untouched(copy)


@pytest.mark.parametrize(
    "number", [errno.ENOTCONN, errno.EREMOTEIO, errno.EHOSTDOWN, errno.EINTR, errno.EFBIG], ids=errno.errorcode.get
)
def test_a_disk_that_is_away_and_a_call_that_is_stopped_are_faults_of_the_machine(number: int) -> None:
    text = os.strerror(number)

    assert (
        find_fault(Exception(f"IO error: While open a file for random read: /data/3/000012.sst: {text}"))
        is Fault.MACHINE
    )
    assert find_fault(OSError(f"{text} (os error {number})")) is Fault.MACHINE


def test_a_file_that_may_grow_no_further_is_a_fault_of_the_machine_and_the_copy_stays(copy: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_store(copy) as store:
        store.apply(ROWS, 6)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, limits[1]))
        try:
            with pytest.raises(Exception, match="File too large") as failed:
                store.compact()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert find_fault(failed.value) is Fault.MACHINE
    require_untouched(copy)


_AS_NOBODY: Final = """
import os, sys
from pathlib import Path
from tests.state.test_damage import open_store
from state.damage import find_fault
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
folder = Path(sys.argv[1])
for file in ("CURRENT", "LOCK", "rocksdict-config.json", next(folder.glob("*.sst")).name,
next(folder.glob("MANIFEST-*")).name):
    mode = (folder / file).stat().st_mode
    (folder / file).chmod(0)
    try:
        open_store(folder)
        print(file, "opened")
    except Exception as error:
        print(file, find_fault(error).name)
    (folder / file).chmod(mode)
"""


def test_files_that_may_not_be_read_are_a_fault_of_the_machine_and_the_copy_stays() -> None:
    """In a folder that a process without root's rights can reach, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as reachable:
        folder = Path(reachable) / "3"
        with open_store(folder) as store:
            store.apply(ROWS, 5)
        for path in (Path(reachable), folder, *folder.iterdir()):
            if os.getuid() == 0:
                os.chown(path, 65534, 65534)
        done = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, folder], capture_output=True, text=True, check=True, cwd=Path.cwd()
        )

        assert len(done.stdout.splitlines()) == 5
        assert {line.split()[-1] for line in done.stdout.splitlines()} == {"MACHINE"}, done.stdout
        require_untouched(folder)


def write_much_of_others(store: PartitionStore) -> None:
    """200 MB of profiles that are there once: no compaction makes them smaller."""
    for number in range(500):
        store.apply({profile_key(b"%d-%04d" % (number, row)): value for row, value in enumerate(ROWS.values())}, number)


def test_a_full_disk_and_one_that_is_read_only_are_no_damage(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 3 << 20) as disk:
        with open_store(disk / "3") as store, pytest.raises(NoSpace, match="make room"):
            write_much_of_others(store)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(OSError, match="Read-only") as failed:
            open_store(disk / "3")

        assert find_fault(failed.value) is Fault.MACHINE
        assert [path.name for path in disk.iterdir()] == ["3"], "nothing was marked, nothing wiped"


def test_the_iterator_of_rocksdb_ends_at_damage_without_an_error_and_keeps_it_for_who_asks(tmp_path: Path) -> None:
    """What `scan_from` leans on; where rocksdict raises by itself one day, the question is superfluous."""
    folder = tmp_path / "3"
    with open_store(folder) as store:
        store.apply(ROWS, 5)
        store.compact()
    flip_a_data_block(folder)

    database = Rdict(str(folder), Options(raw_mode=True))
    rows, seen = database.iter(), 0
    rows.seek_to_first()
    while rows.valid():
        seen += 1
        rows.next()

    assert 0 < seen < len(ROWS)
    with pytest.raises(Exception, match=r"^Corruption: ") as failed:
        rows.status()
    assert find_fault(failed.value) is Fault.FILES
