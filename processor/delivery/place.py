"""Where a destination is, for people. Apart from preflight, since who only names it needs no boto3."""

from schemas.destination import Destination


def place(destination: Destination) -> str:
    """Where a destination is, for people: stream, region, endpoint."""
    behind = f" at {destination.endpoint_url}" if destination.endpoint_url is not None else ""
    return f"stream {destination.stream} in {destination.region}{behind}"
