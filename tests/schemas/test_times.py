"""Times as the contract writes them (I3), wherever one stands: in events, audiences and flows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.files.configuration import parse_configuration
from schemas.audience import Audience
from schemas.times import MAX_SECONDS, MIN_SECONDS, BadTimeError, format_time, normal_time, parse_time
from tests.kit.examples import law

NOON = "2026-01-11T12:00:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-11t12:00:00z",
        "2026-01-11 12:00:00Z",
        "2026-01-11T12:00:00.5z",
        "2026-01-11T14:00:00+02",
        "2026-01-11 07:00:00.25-05",
        "2026-01-11t17:30:00+0530",
        "2026-01-11T12:00:00-00:00",
        "2026-01-11T11:30:00.999999999999-00:30",
    ],
)
def test_i3_all_that_rfc_3339_has_is_read_and_offsets_of_hours_alone(text: str) -> None:
    assert normal_time(text) == NOON


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0000-12-31T23:59:59-00:01", "0001-01-01T00:00:59Z"),
        ("0000-12-31T01:00:00-23", "0001-01-01T00:00:00Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
        ("2016-12-31t15:59:60.999-08:00", "2016-12-31T23:59:59Z"),
        ("2026-01-11 12:00:60+00", "2026-01-11T12:00:59Z"),
        ("9999-12-31T23:59:60Z", "9999-12-31T23:59:59Z"),
    ],
)
def test_i3_moments_that_other_readers_refuse_are_read_and_second_60_as_59(text: str, told: str) -> None:
    assert normal_time(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-11T12:00:61Z",
        "2026-01-11T12:60:60Z",
        "2026-02-30 12:00:00Z",
        "2026-01-11T24:00:00Z",
        "2026-01-11_12:00:00Z",
        "2026-01-11\t12:00:00Z",
        "2026-01-11  12:00:00Z",
        "2026-01-11T12:00:00",
        "2026-01-11T12:00:00 Z",
        "2026-01-11T12:00:00,5Z",
        "2026-01-11T12:00:00.Z",
        "2026-01-11T12:00:00+2",
        "2026-01-11T12:00:00+02:",
        "2026-01-11T12:00:00+24",
        "2026-01-11T12:00:00+02:60",
        "2026-01-11T12:00:00+020",
        "2026-01-11T12:00Z",
        "20260111T120000Z",
        "\uff12026-01-11T12:00:00Z",
        "0001-01-01T00:00:00+01",
        "0000-12-31T23:59:59Z",
        "0000-02-30T00:00:00-01",
        "9999-12-31T23:59:60-01",
        " 2026-01-11T12:00:00Z",
    ],
)
def test_i3_what_is_no_time_is_refused_and_named(text: str) -> None:
    with pytest.raises(BadTimeError) as raised:
        normal_time(text)

    assert repr(text) in str(raised.value)


@law(300)
@given(
    st.integers(MIN_SECONDS + 86_400, MAX_SECONDS - 86_400),
    st.sampled_from("Tt "),
    st.integers(-23, 23),
    st.sampled_from(["", ".0", ".999"]),
)
def test_law_i3_every_spelling_of_a_moment_is_that_moment(
    seconds: int, between: str, hours: int, fraction: str
) -> None:
    local = format_time(seconds + hours * 3600)[:-1].replace("T", between) + fraction

    spellings = [
        f"{local}{hours:+03}",
        f"{local}{hours:+03}:00",
        f"{local}{hours:+03}00",
        *([f"{local}Z", f"{local}z"] if hours == 0 else []),
    ]

    assert {parse_time(text) for text in spellings} == {seconds}


def test_i3_audiences_and_flows_take_the_same_times_quoted_or_not() -> None:
    text = b"""audiences:
  - {namespace: ups, id: a, createdAt: 2016-12-31T23:59:60Z, updatedAt: "2016-12-31 23:59:59z"}
  - {namespace: ups, id: b, createdAt: 2026-01-11t12:00:00z, updatedAt: 2026-01-11 14:00:00+02}
flows:
  - id: f
    destination: {type: kinesis, stream: s, region: us-east-2}
    audiences: [{namespace: ups, id: a, createdAt: 2026-01-11T14:00:00+02, updatedAt: '2026-01-11 14:00:60+02'}]
"""

    configuration = parse_configuration(text, "f.yaml")

    first, second = configuration.audiences
    assert first.created_at == first.updated_at == "2016-12-31T23:59:59Z"
    assert second.created_at == second.updated_at == NOON
    (mapping,) = configuration.flows[0].audiences
    assert (mapping.created_at, mapping.updated_at) == (NOON, "2026-01-11T12:00:59Z")
    assert (
        Audience.model_validate({"namespace": "ups", "id": "a", "createdAt": "2026-01-11 14:00:00+02"}).created_at
        == NOON
    )
