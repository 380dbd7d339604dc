"""The ARN of a Kinesis stream, which may be another account's (contract G10): what it names.

arn:aws:kinesis:eu-west-1:210987654321:stream/profiles
    partition   region    account             name
"""

import re
from typing import Final, NamedTuple

STREAM_NAME: Final = r"^[A-Za-z0-9_.-]{1,128}$"
_FORM: Final = "arn:aws:kinesis:REGION:ACCOUNT:stream/NAME"
_ARN: Final = re.compile(
    r"arn:(?P<partition>aws(-[a-z]+)*):kinesis:(?P<region>[a-z0-9]+(-[a-z0-9]+)*):(?P<account>[0-9]{12}):stream/(?P<stream>[A-Za-z0-9_.-]{1,128})"
)
_HOST: Final = re.compile(  # of AWS's own endpoints, whatever their partition is called
    r"//((?P<account>[0-9]{12})\.)?([a-z0-9-]+\.)*((data|control)-)?kinesis(-fips)?\.(?P<region>[a-z0-9-]+)\.(vpce\.)?(amazonaws|api)\.",
    re.IGNORECASE,
)
_PARTITIONS: Final = {
    # by how their regions begin, the longest first (botocore, partitions.json); every other region is one of `aws`
    "us-isob-": "aws-iso-b",
    "us-isof-": "aws-iso-f",
    "eu-isoe-": "aws-iso-e",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "eusc-": "aws-eusc",
    "cn-": "aws-cn",
}


class StreamArn(NamedTuple):
    """The parts of a stream's ARN; `account` has 12 digits."""

    partition: str
    region: str
    account: str
    stream: str


def read_stream_arn(text: str) -> StreamArn:
    """Return the parts of the ARN of a stream, which may be another account's. Home of G10.

    Raises ValueError for what is no ARN of a stream, or one whose partition does not have its region.
    """
    found = _ARN.fullmatch(text)
    if found is None:
        raise ValueError(f"is no ARN of a Kinesis stream: {_why_not(text)}, as {_FORM}")
    arn = StreamArn(found["partition"], found["region"], found["account"], found["stream"])
    wanted = next((partition for begin, partition in _PARTITIONS.items() if arn.region.startswith(begin)), "aws")
    if arn.partition != wanted:
        raise ValueError(
            f"names the partition {arn.partition}, and the region {arn.region} is one of {wanted}: write arn:{wanted}:…"
        )
    return arn


def fault_of_endpoint(arn: StreamArn, url: str) -> str | None:
    """Say where an endpoint of AWS's is of another region or account than the stream.

    None where it is not, or is no such endpoint.
    """
    found = _HOST.search(url)
    for name, said in (("region", arn.region), ("account", arn.account)):
        if found is not None and (beside := found[name]) not in (None, said):
            return f"is an endpoint of the {name} {beside}, and streamArn names the {name} {said}"
    return None


def _why_not(text: str) -> str:
    if text != text.strip():
        return "it has blanks at an end"
    parts = text.split(":")
    if len(parts) < 6 or parts[0] != "arn":
        return "it has six parts, separated by colons"
    service, region, account, resource = parts[2], parts[3], parts[4], ":".join(parts[5:])
    if service != "kinesis":
        return f"it names the service {service[:50] or 'nothing'}, and not kinesis"
    if not region:
        return "it names no region"
    if re.fullmatch(r"[0-9]{12}", account) is None:
        return "its account is no number of 12 digits"
    if "/consumer/" in resource:
        return "it names a consumer, and not the stream"
    return "its partition is none, its region is none, or it does not end in stream/ and a name"
