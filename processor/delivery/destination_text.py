"""Where a destination is, for people. Apart from preflight, since who only names it needs no boto3."""

from schemas.destination import Destination


def place(destination: Destination) -> str:
    """Where a destination is, for people: stream, account where it may be another's, region, endpoint."""
    behind = f" at {destination.endpoint_url}" if destination.endpoint_url is not None else ""
    of = f" of account {destination.account}" if destination.account is not None else ""
    return f"stream {destination.stream}{of} in {destination.region}{behind}"
