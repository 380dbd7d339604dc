"""The audiences and flows of the made-up shop: `shop.yaml` with its blanks filled in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from processor.files.configuration import Configuration, parse_configuration
from processor.sandbox.streams import ACCESS_KEY_ID, SECRET_KEY

REGION: Final = "eu-central-1"

_TEMPLATE: Final = Path(__file__).with_name("shop.yaml")
_SECRET_VARIABLE: Final = "DEMO_KINESIS_SECRET_KEY"  # noqa: S105  # a variable's name, as shop.yaml has it


def fill_shop_template(endpoint_url: str, stream_suffix: str = "") -> str:
    """Return the text of a file for `profile-exporter apply`; `stream_suffix` tells the streams of runs apart."""
    blanks = {"@ENDPOINT_URL@": endpoint_url, "@SUFFIX@": stream_suffix, "@REGION@": REGION}
    text = _TEMPLATE.read_text(encoding="utf-8")
    for blank, value in blanks.items():
        text = text.replace(blank, value)
    return text


def parse_shop_configuration(text: str) -> Configuration:
    """Return the audiences and flows that such a file lists."""
    return parse_configuration(text.encode(), _TEMPLATE.name)


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` with the credentials that the file names, and none of anybody's account."""
    rest = {name: value for name, value in environment.items() if not name.startswith("AWS_")}
    return rest | {
        _SECRET_VARIABLE: SECRET_KEY,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
