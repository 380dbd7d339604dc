"""A stream by its ARN (G10): what is said beside it agrees, or is a fault that names both; and what is no ARN of a
stream says why (M4).
"""

from typing import Any

import pytest
from pydantic import ValidationError

from processor.files.configuration import ConfigurationError, parse_configuration
from schemas.destination import Destination
from schemas.model import STORED

ARN = "arn:aws:kinesis:eu-west-1:210987654321:stream/profiles.of-two"


def read(context: Any = None, **fields: Any) -> Destination:
    return Destination.model_validate({"type": "kinesis", **fields}, context=context)


def faults(**fields: Any) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as raised:
        read(**fields)
    return [
        (".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, "))
        for fault in raised.value.errors()
    ]


@pytest.mark.parametrize(
    "beside",
    [{}, {"region": "eu-west-1"}, {"stream": "profiles.of-two"}, {"region": "eu-west-1", "stream": "profiles.of-two"}],
)
def test_g10_an_arn_says_the_stream_and_the_region_and_what_stands_beside_it_may_say_the_same(
    beside: dict[str, str],
) -> None:
    """However it is said it is one destination, which flows share."""
    destination = read(streamArn=ARN, **beside)

    assert destination == read(streamArn=ARN)
    assert (destination.stream, destination.region, destination.account) == (
        "profiles.of-two",
        "eu-west-1",
        "210987654321",
    )
    assert destination.named == {"StreamARN": ARN}
    assert destination.in_words == "stream profiles.of-two of account 210987654321 in eu-west-1"


def test_g10_it_is_another_destination_than_the_stream_of_that_name_in_the_own_account() -> None:
    own = read(stream="profiles.of-two", region="eu-west-1")

    assert own != read(streamArn=ARN)
    assert (own.named, own.account) == ({"StreamName": "profiles.of-two"}, None)


def test_g10_a_destination_on_the_topic_is_read_as_it_was_written() -> None:
    destination = read(streamArn=ARN)

    assert (
        Destination.model_validate(destination.model_dump(by_alias=True, exclude_none=True), context=STORED)
        == destination
    )


@pytest.mark.parametrize(
    ("beside", "told"),
    [
        ({"stream": "profiles"}, "names the stream profiles.of-two, and stream says profiles: "),
        ({"region": "us-east-2"}, "names the region eu-west-1, and region says us-east-2: "),
        (
            {"stream": "profiles", "region": "us-east-2"},
            (
                "names the stream profiles.of-two, and stream says profiles; the region eu-west-1, and region says"
                " us-east-2: "
            ),
        ),
    ],
)
def test_g10_m4_what_does_not_agree_is_a_fault_of_the_arn_that_names_both(beside: dict[str, str], told: str) -> None:
    assert faults(streamArn=ARN, **beside) == [
        ("streamArn", f"{told}leave out what the ARN says, or let the two agree")
    ]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (
            "https://kinesis.us-east-1.amazonaws.com",
            "is an endpoint of the region us-east-1, and streamArn names the region eu-west-1",
        ),
        (
            "https://kinesis-fips.us-east-1.api.aws",
            "is an endpoint of the region us-east-1, and streamArn names the region eu-west-1",
        ),
        (
            "https://vpce-1-2.kinesis.us-east-1.vpce.amazonaws.com",
            "is an endpoint of the region us-east-1, and streamArn names the region eu-west-1",
        ),
        (
            "https://111111111111.data-kinesis.eu-west-1.amazonaws.com",
            "is an endpoint of the account 111111111111, and streamArn names the account 210987654321",
        ),
    ],
)
def test_g10_m4_an_endpoint_of_another_region_or_account_is_a_fault(url: str, told: str) -> None:
    assert faults(streamArn=ARN, endpointUrl=url) == [("endpointUrl", told)]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:4567",
        "https://kinesis.eu-west-1.amazonaws.com",
        "https://210987654321.data-kinesis.eu-west-1.amazonaws.com",
        "https://kinesis.example.com",
    ],
)
def test_g10_an_endpoint_that_says_nothing_else_is_taken(url: str) -> None:
    assert read(streamArn=ARN, endpointUrl=url).endpoint_url == url


@pytest.mark.parametrize(
    ("partition", "region"),
    [
        ("aws", "us-east-1"),
        ("aws-cn", "cn-north-1"),
        ("aws-us-gov", "us-gov-west-1"),
        ("aws-iso-b", "us-isob-east-1"),
        ("aws-eusc", "eusc-de-e-1"),
    ],
)
def test_g10_every_partition_has_its_regions(partition: str, region: str) -> None:
    assert read(streamArn=f"arn:{partition}:kinesis:{region}:210987654321:stream/s").region == region
    other = "aws-cn" if partition == "aws" else "aws"
    told = f"names the partition {other}, and the region {region} is one of {partition}: write arn:{partition}:…"
    assert faults(streamArn=f"arn:{other}:kinesis:{region}:210987654321:stream/s") == [("streamArn", told)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it has six parts"),
        ("profiles", "it has six parts"),
        (f" {ARN}", "it has blanks at an end"),
        ("arn:aws:firehose:eu-west-1:210987654321:deliverystream/s", "it names the service firehose, and not kinesis"),
        ("arn:aws:kinesis::210987654321:stream/s", "it names no region"),
        ("arn:aws:kinesis:eu-west-1::stream/s", "its account is no number of 12 digits"),
        ("arn:aws:kinesis:eu-west-1:21098765432:stream/s", "its account is no number of 12 digits"),
        (f"{ARN}/consumer/c:1", "it names a consumer, and not the stream"),
        ("arn:aws:kinesis:eu-west-1:210987654321:s", "it does not end in stream/ and a name"),
        ("arn:aws:kinesis:eu-west-1:210987654321:stream/a b", "it does not end in stream/ and a name"),
    ],
)
def test_g10_m4_what_is_no_arn_of_a_stream_says_why_and_is_the_only_fault(text: str, why: str) -> None:
    ((place_of_it, told),) = faults(streamArn=text)

    assert place_of_it == "streamArn"
    assert why in told
    assert told.endswith("arn:aws:kinesis:REGION:ACCOUNT:stream/NAME")


def test_g10_an_arn_in_the_place_of_a_name_is_shown_its_own() -> None:
    assert faults(stream=ARN, region="eu-west-1") == [("stream", "is an ARN, and no name: write it as streamArn")]


def test_g10_m4_a_file_names_the_line_of_an_arn_that_does_not_agree() -> None:
    text = f"flows:\n  - id: f\n    destination:\n      type: kinesis\n      stream: profiles\n      streamArn: {ARN}\n"

    with pytest.raises(ConfigurationError) as raised:
        parse_configuration(text.encode(), "f.yaml")

    (fault,) = raised.value.faults
    assert fault.startswith(
        "line 6: flows[0].destination.streamArn: names the stream profiles.of-two, and stream says profiles"
    )
