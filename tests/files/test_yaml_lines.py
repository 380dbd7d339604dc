"""Files for apply and replay: aliases are read, and what they stand for has a bound, named with its line."""

import pytest

from processor.files.configuration import parse_configuration
from processor.files.yaml_lines import MAX_VALUES_BY_ALIASES, load_with_lines
from processor.foundation.errors import UsageError


def laughs(levels: int) -> bytes:
    """Nine aliases of the line before in each line: 9 to the power of `levels` values."""
    lines = [
        "a0: &a0 [lol]",
        *(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, levels + 1)),
    ]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    "read", [lambda text: load_with_lines(text, "flows.yaml"), lambda text: parse_configuration(text, "flows.yaml")]
)
def test_aliases_of_aliases_are_refused_with_the_line_before_they_are_expanded(read: object) -> None:
    assert callable(read)

    with pytest.raises(
        UsageError, match=rf"flows.yaml, line 6: .*aliases stand for more than {MAX_VALUES_BY_ALIASES:,} values"
    ):
        read(laughs(40))


def test_an_alias_of_what_it_is_part_of_is_refused_with_its_line() -> None:
    with pytest.raises(UsageError, match=r"f.yaml, line 2: .*an alias of what it is part of"):
        load_with_lines(b"a: &a\n  - *a\n", "f.yaml")


def test_aliases_and_merges_of_a_common_size_are_read() -> None:
    text = b"base: &base {region: us-east-2, stream: s}\nfirst: *base\nsecond: {<<: *base, stream: t}\n"

    value, lines = load_with_lines(text, "f.yaml")

    assert value["first"] == {"region": "us-east-2", "stream": "s"}
    assert value["second"] == {"region": "us-east-2", "stream": "t"}
    assert lines["second",] == 3


def test_a_large_file_without_aliases_has_no_such_bound() -> None:
    many = "\n".join(f"- {{id: a{number}, name: n}}" for number in range(MAX_VALUES_BY_ALIASES // 4)).encode()

    value, _ = load_with_lines(many, "f.yaml")

    assert len(value) == MAX_VALUES_BY_ALIASES // 4
