"""The words of orjson that the core leans on are as they were; a new orjson that changed them fails here, loudly."""

import orjson
import pytest

from processor.core.parse import why_not_json
from schemas.dead_letter import DeadLetterReason


@pytest.mark.parametrize("opening", [b"[", b'{"depth limit exceeded":'])
def test_i4_orjson_says_that_a_value_is_nested_too_deeply_in_the_words_that_are_known(opening: bytes) -> None:
    value = opening * 2_000

    with pytest.raises(orjson.JSONDecodeError) as refused:
        orjson.loads(value)

    assert why_not_json(value, refused.value).reason is DeadLetterReason.BAD_SHAPE


def test_i4_what_is_no_json_is_never_taken_for_too_deep_whatever_words_it_has() -> None:
    value = b'{"depth limit exceeded": recursion}'

    with pytest.raises(orjson.JSONDecodeError) as refused:
        orjson.loads(value)

    assert why_not_json(value, refused.value).reason is DeadLetterReason.NOT_JSON
