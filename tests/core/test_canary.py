"""The words of orjson that the core leans on are as they were; a new orjson that changed them fails here, loudly."""

import orjson
import pytest

from processor.core.numbers import LARGE
from processor.core.parse import why_not_json
from schemas.dead_letter import DeadLetterReason


@pytest.mark.parametrize("opening", [b"[", b'{"depth limit exceeded":'])
def test_i4_orjson_says_that_a_value_is_nested_too_deeply_in_the_words_that_are_known(opening: bytes) -> None:
    value = opening * 2_000

    with pytest.raises(orjson.JSONDecodeError) as refused:
        orjson.loads(value)

    assert why_not_json(value, refused.value).reason is DeadLetterReason.BAD_SHAPE


@pytest.mark.parametrize("number", [b"1e400", b"-1E+309", b"9" * 310, b"0.1e310"])
def test_i13_orjson_says_that_no_double_holds_a_number_in_the_words_that_are_known(number: bytes) -> None:
    value = b'{"a":[' + number + b"]}"

    with pytest.raises(orjson.JSONDecodeError) as refused:
        orjson.loads(value)
    with pytest.raises(orjson.JSONDecodeError) as cut_short:
        orjson.loads(value[:-1])

    assert why_not_json(value, refused.value).reason is DeadLetterReason.BAD_NUMBER
    assert why_not_json(value[:-1], cut_short.value).reason is DeadLetterReason.NOT_JSON


def test_i13_orjson_reads_whole_numbers_of_64_bits_and_larger_ones_as_doubles() -> None:
    read = orjson.loads(b"[-9223372036854775808,18446744073709551615,-9223372036854775809,18446744073709551616]")

    assert [type(number) for number in read] == [int, int, float, float]
    assert min(abs(number) for number in read[2:]) >= LARGE


def test_i4_what_is_no_json_is_never_taken_for_too_deep_whatever_words_it_has() -> None:
    value = b'{"depth limit exceeded": recursion}'

    with pytest.raises(orjson.JSONDecodeError) as refused:
        orjson.loads(value)

    assert why_not_json(value, refused.value).reason is DeadLetterReason.NOT_JSON
