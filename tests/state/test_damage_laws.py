"""The law of damaged local state: any file of a real store, damaged anyhow and anywhere.

Each answer is right, or it is an error that has the copy wiped at the next opening: never a short scan, never the same
error for ever. "Right" is what some prefix of the batches made, the prefix that the place in the changelog names: what
is missing is read from there.
"""

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.wire.profiles_changelog import (
    PROFILE,
    SOURCE_POSITION_KEY,
    SourcePosition,
    encode_source_position,
    profile_key,
)
from state.identity import Identity
from state.partition import PartitionStore
from state.store_options import Memory, shared_memory

IDENTITY: Final = Identity("cluster", "app", "app-profiles-changelog", "topic-id", 3, 8)
BATCHES: Final = 40
ROWS_A_BATCH: Final = 30
KEYS: Final = [profile_key(b"p-%04d" % number) for number in range(500)]

Use = Callable[[PartitionStore], None]


def memory() -> Memory:
    """Small, so that few rows make many files; its own for each opening, so that every block is read from its file."""
    return shared_memory(1 << 20, 64 << 10, 1)


def batches() -> list[dict[bytes, bytes | None]]:
    """Rows written, written over and removed; the last batches are at both ends of what a scan sees."""
    dice = random.Random(15)
    made: list[dict[bytes, bytes | None]] = []
    for number in range(1, BATCHES + 1):
        rows: dict[bytes, bytes | None] = {
            dice.choice(KEYS): dice.randbytes(300) if dice.random() < 0.9 else None for _ in range(ROWS_A_BATCH)
        }
        made.append(rows | {SOURCE_POSITION_KEY: encode_source_position(SourcePosition(number))})
    return made


def states() -> list[dict[bytes, bytes]]:
    """The rows after each prefix of the batches."""
    found: list[dict[bytes, bytes]] = [{}]
    for rows in batches():
        merged = found[-1] | rows
        found.append({key: value for key, value in merged.items() if value is not None})
    return found


STATES: Final = states()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of many files, in a folder whose name has the words of RocksDB's own texts."""
    folder = tmp_path_factory.mktemp("block-lock-storage") / "3"
    with PartitionStore.open(folder, IDENTITY, memory()) as store:
        for number, rows in enumerate(batches(), 1):
            store.apply(rows, number)
            if number == BATCHES * 3 // 4:
                store.compact()
    assert len(list(folder.glob("*.sst"))) > 1
    return folder


def damage(folder: Path, dice: random.Random) -> None:
    """One file: some bytes of it, its end, or all of it.

    The dice are even, so that they fall on rows: a file is blocks of rows for the most part.
    """
    files = sorted(folder.glob(dice.choice(("*.sst", "*.sst", "*.sst", "MANIFEST-*", "CURRENT", "*"))))
    file, kind = dice.choice(files), dice.choice(("flip", "flip", "flip", "zero", "cut", "remove", "grow"))
    content, length = bytearray(file.read_bytes()), dice.randint(1, 200)
    begin = dice.randrange(len(content) or 1)
    end = min(len(content), begin + length)
    if kind == "remove":
        file.unlink()
        return
    if kind == "cut":
        del content[begin:]
    elif kind == "grow":
        content += dice.randbytes(length)
    else:
        content[begin:end] = bytes(0xFF ^ byte if kind == "flip" else 0 for byte in content[begin:end])
    file.write_bytes(content)


def expected(store: PartitionStore) -> dict[bytes, bytes]:
    """The rows at the store's own place in the changelog."""
    return STATES[store.changelog_next_offset]


def read_each(store: PartitionStore) -> None:
    assert store.get_many(KEYS) == [expected(store).get(key) for key in KEYS]


def read_source_position(store: PartitionStore) -> None:
    known = store.source_position
    assert (0 if known is None else known.next_offset) == store.changelog_next_offset


def scan(store: PartitionStore, after: bytes = PROFILE) -> None:
    rows = sorted((key, value) for key, value in expected(store).items() if key.startswith(PROFILE) and key > after)
    assert list(store.scan_from(PROFILE, after)) == rows


def scan_from_the_middle(store: PartitionStore) -> None:
    scan(store, KEYS[len(KEYS) // 2])


def write_the_rest(store: PartitionStore) -> None:
    for number, rows in enumerate(batches(), 1):
        if number > store.changelog_next_offset:
            store.apply(rows, number)


def compact(store: PartitionStore) -> None:
    store.compact()


USES: Final[tuple[Use, ...]] = (read_each, read_source_position, scan, scan_from_the_middle, write_the_rest, compact)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**64 - 1), uses=st.lists(st.sampled_from(USES), max_size=4))
def test_a_damaged_store_answers_rightly_or_is_wiped_at_the_next_opening(
    whole: Path, seed: int, uses: list[Use]
) -> None:
    folder = whole.parent / "damaged"
    for leftover in whole.parent.glob("*damaged"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    shutil.copytree(whole, folder)
    damage(folder, random.Random(seed))

    wiped = not uses_end_well(folder, [*uses, read_each, scan])

    with PartitionStore.open(folder, IDENTITY, memory()) as store:
        assert not wiped or store.changelog_next_offset == 0, "the next start finds the same damage again"
        for use in (write_the_rest, compact, scan):
            use(store)
        assert store.changelog_next_offset == BATCHES


def uses_end_well(folder: Path, uses: Sequence[Use]) -> bool:
    """Whether nothing was raised; a wrong answer is none of what may be."""
    with PartitionStore.open(folder, IDENTITY, memory()) as store:
        try:
            for use in uses:
                use(store)
        except AssertionError:
            raise
        except Exception:  # the law says nothing about its type
            return False
    return True
