"""The audiences and flows of the made-up shop: `demo.yaml` with its blanks filled in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from processor.files.configuration import Configuration, parse_configuration
from processor.sandbox.endpoint import ACCESS_KEY_ID, SECRET_KEY

REGION: Final = "eu-central-1"

_TEMPLATE: Final = Path(__file__).with_name("shop.yaml")
_SECRET_VARIABLE: Final = "DEMO_KINESIS_SECRET_KEY"  # noqa: S105  # a variable's name, as demo.yaml has it


def configuration_text(endpoint_url: str, stream_suffix: str = "") -> str:
    """The file for `profile-exporter apply`; `stream_suffix` keeps the streams of one run apart from those of
    another.
    """
    blanks = {"@ENDPOINT_URL@": endpoint_url, "@SUFFIX@": stream_suffix, "@REGION@": REGION}
    text = _TEMPLATE.read_text(encoding="utf-8")
    for blank, value in blanks.items():
        text = text.replace(blank, value)
    return text


def configuration(text: str) -> Configuration:
    """What such a file says."""
    return parse_configuration(text.encode(), _TEMPLATE.name)


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with the credentials that the file names, and none of anybody's account."""
    rest = {name: value for name, value in environment.items() if not name.startswith("AWS_")}
    return rest | {
        _SECRET_VARIABLE: SECRET_KEY,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
