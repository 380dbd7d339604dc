"""Which keys are ids of profiles (contract I11)."""

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.core.profile_id import fault_of_id, read_profile_id
from processor.core.unusable import Unusable
from schemas.dead_letter import DeadLetterReason
from tests.kit.builders import History
from tests.kit.examples import law

WHITE_SPACE = "\u0020\u00a0\u1680\u2000\u2007\u200a\u2028\u2029\u202f\u205f\u3000"
INVISIBLE = "\u200b\ufeff\u2060"  # which Unicode does not list as white space


@pytest.mark.parametrize(
    "key",
    [
        '"p-1"',
        '"p-\\u00e9"',
        '""',
        '"\\ud800"',
        '{"id":"p-1"}',
        "{}",
        "[]",
        '["p-1"]',
        '{\n  "id": 7\n}',
        ' {"a": NaN}',
    ],
)
def test_i11_what_a_json_serializer_wrote_is_no_id(key: str) -> None:
    assert "JSON serializer" in bad(key)


@pytest.mark.parametrize("character", [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0))])
def test_i11_a_control_character_is_no_part_of_an_id(character: str) -> None:
    for key in (f"p{character}1", f"{character}p", f"p{character}"):
        assert f"control character U+{ord(character):04X}" in bad(key)


@pytest.mark.parametrize("character", WHITE_SPACE)
def test_i11_white_space_of_any_kind_at_either_end_is_told_and_inside_it_is_kept(character: str) -> None:
    assert f"begins with white space (U+{ord(character):04X})" in bad(f"{character}p-1")
    assert f"ends with white space (U+{ord(character):04X})" in bad(f"p-1{character}")
    assert "white space" in bad(character)
    assert fault_of_id(f"p{character}1") is None


@pytest.mark.parametrize(
    "key",
    [
        "p-1",
        "{p-1}",
        'p"1',
        "a b",
        "12345",
        "[p",
        '"p',
        'p-1"',
        '"a"b"',
        "null",
        "a\u00a0b",
        "ключ",
        "😀",
        "👩‍💻",
        "\ue000",
        "'p-1'",
        "]",
        "é" * 256,
    ]
    + [f"{each}p{each}" for each in INVISIBLE],
)
def test_i11_odd_but_plain_keys_are_ids(key: str) -> None:
    assert read_profile_id(key.encode()) == key


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (b"\0\0\0\0\0\0\0*", "bytes of a number"),
        (b"\0\0\0\0\5\6p-1", "schema registry framing"),
        (b'"p-1"', "StringSerializer"),
        (b"\xff", "not UTF-8"),
        (b"x" * 513, "513 bytes"),
        (None, "no key"),
    ],
)
def test_i11_the_explanation_says_what_the_key_looks_like(key: bytes | None, told: str) -> None:
    with pytest.raises(Unusable, match="bad_key") as raised:
        read_profile_id(key)

    assert told in raised.value.explanation


def test_i11_a_key_of_brackets_alone_is_looked_at_in_no_time_and_is_an_id() -> None:
    assert read_profile_id(b"[" * 512) == "[" * 512


def test_i11_the_key_is_judged_before_the_subject() -> None:
    value = json.dumps(
        {"specversion": "1.0", "id": "x", "source": "/u", "type": "profile.patched", "subject": "p-1", "data": {}}
    ).encode()

    letter = History().raw(value, key=b'"p-1"', timestamp=0).dead_letter

    assert letter is not None
    assert (letter.reason, letter.key) == ("bad_key", b'"p-1"')


@pytest.mark.parametrize("value", [None, b'{"specversion":"1.0","id":"x","source":"/u","type":"profile.deleted"}'])
def test_i11_a_deletion_under_such_a_key_is_bad_too(value: bytes | None) -> None:
    letter = History().raw(value, key=b"p-1 ", timestamp=0).dead_letter

    assert letter is not None
    assert letter.reason == "bad_key"


@law(500)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
    | st.text('"[]{}:,a \u3000\n', min_size=1, max_size=6)
)
def test_law_i11_an_id_is_what_the_rule_says_whatever_way_it_is_looked_at(key: str) -> None:
    """The rule, word by word: the fast look at a key must never let another one pass."""
    is_id = (
        not any(unicodedata.category(each) == "Cc" for each in key)
        and key == key.strip()
        and not (key[0] in '"[{' and isinstance(parsed(key), str | list | dict))
    )

    assert (bad(key) == "") is is_id
    assert (fault_of_id(key) is None) is is_id


def bad(key: str) -> str:
    """Why the key is none; "": it is one."""
    try:
        return "" if read_profile_id(key.encode()) == key else "another one"
    except Unusable as unusable:
        return unusable.explanation if unusable.reason is DeadLetterReason.BAD_KEY else "another reason"


def parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
