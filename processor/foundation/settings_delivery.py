"""The settings of delivery: how Kinesis is called, and what waits for it."""

import ipaddress
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from processor.foundation.settings_environment import Count, FromEnvironment, Positive, Seconds
from processor.foundation.sizes import KIB, MIB, TIB

_HOST_OR_BELOW: Final = r"((\*\.)?[A-Za-z0-9_.:-]+|\[[0-9A-Fa-f:.]+\](:[0-9]+)?)"
_HOSTS: Final = rf"^({_HOST_OR_BELOW}(\s*,\s*{_HOST_OR_BELOW})*)?$"


def _hosts_without_ports(text: str) -> str:
    """Return names and addresses separated by commas, in lower case, without brackets and last dots.

    Raises ValueError for one with a port.
    """
    return ",".join(_host_without_port(each.strip()) for each in text.split(",") if each.strip())


def _host_without_port(host: str) -> str:
    plain = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if ":" in plain:
        try:
            return str(ipaddress.IPv6Address(plain))
        except ValueError:
            raise ValueError(f"{host} is no host: name it without a port, every port of it is meant") from None
    return plain.lower().rstrip(".")


class DeliverySettings(FromEnvironment):
    """The settings of how export records are delivered."""

    kinesis_max_records_per_call: Annotated[int, Field(ge=1, le=500)] = Field(
        default=500, description="Records of one PutRecords call, at most."
    )
    kinesis_max_call_bytes: Annotated[int, Field(ge=1 * KIB, le=10 * MIB)] = Field(
        default=5 * MIB, description="Bytes of one PutRecords call, at most."
    )
    kinesis_max_record_bytes: Annotated[int, Field(ge=1 * KIB, le=10 * MIB)] = Field(
        default=1 * MIB, description="Bytes of one record with its partition key; a larger one is a dead letter."
    )
    kinesis_calls_in_flight: Annotated[int, Field(ge=1, le=64)] = Field(
        default=4, description="PutRecords calls of one destination at a time."
    )
    kinesis_linger_seconds: Annotated[float, Field(ge=0, le=60)] = Field(
        default=0.02, description="Seconds that a PutRecords call which is not full waits for more records."
    )
    kinesis_shard_records_per_second: Count = Field(
        default=1_000,
        description="Records that this worker feeds to a shard, a second, at most; 0: as many as it takes.",
    )
    kinesis_shard_bytes_per_second: Annotated[int, Field(ge=0, le=1 * TIB)] = Field(
        default=1 * MIB,
        description="Bytes that this worker feeds to a shard, a second, at most; 0: as many as it takes.",
    )
    kinesis_connect_timeout_seconds: Seconds = Field(default=5.0, description="Seconds to connect to Kinesis.")
    kinesis_read_timeout_seconds: Seconds = Field(default=10.0, description="Seconds to wait for an answer of Kinesis.")
    kinesis_probe_seconds: Seconds = Field(default=15.0, description="Seconds between two tries of a paused flow.")
    endpoint_hosts: Annotated[str, Field(pattern=_HOSTS), AfterValidator(_hosts_without_ports)] = Field(
        default="",
        description=(
            "Hosts that endpointUrl of a flow may name beside AWS's own, as a.example.com or *.example.com, separated"
            " by commas; empty: any but metadata services, without session tokens."
        ),
    )
    kinesis_max_rejections_in_a_row: Count = Field(
        default=30,
        description=(
            "Profiles whose records are rejected within an hour, without one delivered, that pause a destination as"
            " unusable; 0: never."
        ),
    )
    park_after_seconds: Annotated[float, Field(ge=0.1, le=3600)] = Field(
        default=5.0,
        description=(
            "Seconds that a flow whose destination is unavailable keeps its records in memory; then only `exports`"
            " holds them."
        ),
    )
    max_buffered_records: Positive = Field(
        default=20_000, description="Records that a worker holds for delivery, at most; at the limit it stops reading."
    )
    max_buffered_bytes: Annotated[int, Field(ge=1 * MIB, le=1 * TIB)] = Field(
        default=64 * MIB,
        description=(
            "Their bytes, at most, keys and headers among them; at the limit it stops reading. One record may go beyond"
            " it, and of what is fetched a quarter as much waits."
        ),
    )
