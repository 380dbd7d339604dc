"""Where a key belongs, and what is said of an event elsewhere (contract I12).

Real producers: tests/integration/test_partitioners.py.
"""

from collections.abc import Callable

import pytest
from aiokafka.partitioner import murmur2 as murmur2_of_aiokafka
from hypothesis import given
from hypothesis import strategies as st

from processor.core.misplaced import Placement, remedy_of_misplaced, tell_misplaced
from processor.core.partitioner import keys_elsewhere, murmur2, partition_of
from schemas.kafka import ReadRecord
from schemas.partitioner import Partitioner
from tests.kit.examples import law

MURMUR2, CRC32 = Partitioner.MURMUR2, Partitioner.CRC32


def event(offset: int, key: bytes | None) -> ReadRecord:
    return ReadRecord("profile-events", 7, offset, 0, key, b"{}")


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        # org.apache.kafka.common.utils.UtilsTest.testMurmur2
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
        # librdkafka's rdmurmur2.c
        (b"kafka", 0xD067CF64),
        (b"giberish123456789", 0x8F552B0C),
        (b"1234", 0x9FC97B14),
        (b"234", 0xE7C009CA),
        (b"34", 0x873930DA),
        (b"4", 0x5A4B5CA1),
        (b"", 0x106E08D9),
    ],
)
def test_i12_murmur2_is_what_java_and_librdkafka_publish(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed & 0xFFFFFFFF


@law(500)
@given(st.binary(max_size=512))
def test_i12_murmur2_is_that_of_aiokafka_for_any_bytes(key: bytes) -> None:
    assert murmur2(key) == murmur2_of_aiokafka(key) & 0xFFFFFFFF


def test_i12_a_key_belongs_where_its_hash_says() -> None:
    """Java drops the sign of murmur2; the published check value of CRC-32 is that of the string 123456789."""
    assert (partition_of(b"p-1", 8, MURMUR2), partition_of(b"p-1", 8, CRC32)) == (4, 7)
    assert partition_of(b"kafka", 2**32, MURMUR2) == 0xD067CF64 - 2**31
    assert partition_of(b"123456789", 2**32, CRC32) == 0xCBF43926


@law(200)
@given(st.sets(st.binary(max_size=40), max_size=30), st.integers(1, 12), st.sampled_from([MURMUR2, CRC32]))
def test_i12_keys_elsewhere_are_those_whose_partition_is_another_and_no_key_is_nowhere(
    keys: set[bytes], partitions: int, partitioner: Partitioner
) -> None:
    for partition in range(partitions):
        elsewhere = {key for key in keys if key and partition_of(key, partitions, partitioner) != partition}
        assert set(keys_elsewhere(keys, partition, partitions, partitioner)) == elsewhere


@pytest.mark.parametrize(
    "ask", [lambda: keys_elsewhere([b"p"], 0, 2, Partitioner.NONE), lambda: partition_of(b"p", 2, Partitioner.NONE)]
)
def test_i12_with_none_there_is_no_elsewhere(ask: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="PARTITIONER=none"):
        ask()


def test_i12_every_event_elsewhere_is_counted_with_its_place_and_the_partitioner_that_fits() -> None:
    """Of 8 partitions, p-1 belongs in 4 (murmur2) and is in 7 (crc32), right-7 in 7, t in neither; an event without a
    key is nowhere wrong.
    """
    placement = Placement(7, 8, MURMUR2)
    records = [event(0, b"p-1"), event(1, b"right-7"), event(2, None), event(3, b"p-1"), event(4, b"t")]
    elsewhere = placement.keys_elsewhere({b"p-1", b"right-7", b"t", b""})

    found = placement.count_misplaced(records, frozenset(elsewhere))

    assert set(elsewhere) == {b"p-1", b"t"}
    assert found is not None
    assert (found.events, found.topic, found.offset, found.belongs_in) == (
        3,
        "profile-events",
        4,
        partition_of(b"t", 8, MURMUR2),
    )
    assert found.fitting == {"crc32": 2}
    assert placement.count_misplaced([event(0, b"other")], frozenset(elsewhere)) is None


def test_i12_the_remedy_names_the_partitioner_that_fits_all_some_or_none() -> None:
    assert (
        remedy_of_misplaced(MURMUR2, 3, {"crc32": 3})
        == "librdkafka's default partitioner (crc32) fits all of them: set PARTITIONER=crc32, or"
        " partitioner=murmur2_random in the producer"
    )
    assert (
        remedy_of_misplaced(CRC32, 3, {"murmur2": 3})
        == "Java's default partitioner (murmur2) fits all of them: set PARTITIONER=murmur2, or"
        " partitioner=consistent_random in the producer"
    )
    assert "(crc32) fits 2 of 3 of them: set partitioner=murmur2_random in that producer" in remedy_of_misplaced(
        MURMUR2, 3, {"crc32": 2}
    )
    assert "no partitioner that is known fits them" in remedy_of_misplaced(MURMUR2, 3, {})
    assert "set PARTITIONER=none" in remedy_of_misplaced(MURMUR2, 3, {})
    assert tell_misplaced(MURMUR2, 1).startswith(
        "1 event is not in the partition where Java's default partitioner (murmur2) puts the key"
    )
