"""The endpoints that a flow may name, and what is sent there.

Who may change a flow chooses the address that workers and the API call.

    no endpointUrl, or Kinesis of AWS      always
    a host of ENDPOINT_HOSTS               always
    any other host                         only where ENDPOINT_HOSTS is empty, and never a machine's metadata service;
                                           without session tokens, this machine excepted

A metadata service gives the credentials of the machine to whoever can call it. A session token, which goes with the
credentials of a role, is a header in clear, and with what else is sent and can be repeated; a secret key alone only
signs. A name is looked up once, when a client is made: one that leads elsewhere later is not noticed, so where flows
are written by people who are not trusted, name the hosts.
"""

import ipaddress
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from processor.delivery.kinesis.faults import DestinationUnusable, PauseReason
from schemas.destination import Destination, require_one_host

_OF_AWS: Final = re.compile(
    r"(^|\.)((data|control)-)?kinesis(-fips)?\.[a-z]{2,}(-[a-z]+)+-[0-9]+(\.vpce)?"
    r"\.(amazonaws\.(com|com\.cn|eu)|api\.aws|api\.amazonwebservices\.(com\.cn|eu)"
    r"|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov"
    r"|api\.aws\.ic\.gov|api\.aws\.scloud|api\.cloud-aws\.adc-e\.uk|api\.aws\.hci\.ic\.gov)$"
)
"""Kinesis itself (AWS General Reference, "Kinesis Data Streams endpoints"; VPC endpoints), in each partition that
botocore knows.

Anybody can have other names below amazonaws.com.
"""
_METADATA_NAMES: Final = frozenset({"metadata.google.internal", "metadata.goog", "metadata", "instance-data"})
_METADATA_ADDRESSES: Final = frozenset(
    map(
        ipaddress.ip_address,
        ("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    )
)
"""Those of AWS, EKS, Google, Alibaba, Azure and Oracle that are not link-local, as 169.254.169.254 is."""
_SESSION_TOKEN: Final = "X-Amz-Security-Token"  # noqa: S105  # a header's name
ENDPOINT_HOSTS: Final = "PROFILE_EXPORTER_ENDPOINT_HOSTS"
"""The environment variable in which an operator names hosts."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """The rules by the hosts that an operator named: a name, an address, or `*.example.com`."""

    hosts: tuple[str, ...] = ()

    def trusts(self, destination: Destination) -> bool:
        """Return whether an operator named the endpoint, or AWS did.

        Then session tokens go there, and its words are told to whoever asks.
        """
        if destination.endpoint_url is None:
            return True
        try:
            host = _host_of(destination.endpoint_url)
        except ValueError:  # stored before such addresses were refused: never called
            return False
        return self._is_named(host) or _OF_AWS.search(host) is not None

    def require_allowed(self, destination: Destination) -> None:
        """Raise DestinationUnusable where a flow may not name its endpoint. Looks the host up."""
        if destination.endpoint_url is None or self.trusts(destination):
            return
        try:
            host = _host_of(destination.endpoint_url)
        except ValueError as error:
            raise _unusable(f"endpointUrl: {error}; correct the flow") from None
        if self.hosts:
            raise _unusable(
                f"endpointUrl: {host} is none of {ENDPOINT_HOSTS} ({', '.join(self.hosts)}): name it there, or correct"
                " the flow"
            )
        if host in _METADATA_NAMES or any(map(_is_metadata, _addresses_of(host))):
            raise _unusable(
                f"endpointUrl: {host} is the metadata service of a machine, or link-local: name it in"
                f" {ENDPOINT_HOSTS}, or correct the flow"
            )

    def open_client(self, session: Any, destination: Destination, config: Any) -> Any:
        """Open a session's Kinesis client, which sends only what its endpoint may have; raise DestinationUnusable."""
        self.require_allowed(destination)
        client = session.client("kinesis", endpoint_url=destination.endpoint_url, config=config)
        client.meta.events.register("before-send.kinesis", _write_headers_as_text)
        if not self.trusts(destination) and not _is_this_machine(host := _host_of(destination.endpoint_url or "")):
            client.meta.events.register("before-send.kinesis", partial(_keep_session_token, host))
        return client

    def _is_named(self, host: str) -> bool:
        return any(host == each or (each.startswith("*.") and host.endswith(each[1:])) for each in self.hosts)


ANY_ENDPOINT: Final = EndpointRules()
"""The rules where no operator named any host: those that stand above."""


def endpoint_rules(hosts: str) -> EndpointRules:
    """Return the rules of an installation; `hosts` are divided by commas."""
    return EndpointRules(tuple(host for host in hosts.split(",") if host))


def _write_headers_as_text(request: Any, **_: Any) -> None:
    """Make texts of headers that botocore leaves as bytes: urllib3 (2.8) fails on those at a redirect with 303."""
    for name, value in request.headers.items():
        if isinstance(value, bytes):
            request.headers[name] = value.decode("latin-1")


def _keep_session_token(host: str, request: Any, **_: Any) -> None:
    """Stop a request with a session token before it is sent."""
    if _SESSION_TOKEN in request.headers:
        text = (
            f"endpointUrl: {host} is not AWS's, and the credentials are a role's, with a session token: name the host"
            f" in {ENDPOINT_HOSTS}, or give keys"
        )
        raise _unusable(text)


def _unusable(text: str) -> DestinationUnusable:
    return DestinationUnusable(PauseReason.DESTINATION_UNUSABLE, text)


def _host_of(url: str) -> str:
    """Give the host that the client connects to, in lower case, without brackets and the last dot.

    Raises ValueError where it is no address, and where another parser reads another host: what is judged must be what
    is called.
    """
    from urllib3.util import parse_url  # noqa: PLC0415  # the client's own parser: not before Kafka was asked

    host = require_one_host(url)
    called = (parse_url(url).host or "").strip("[]")  # its LocationParseError is a ValueError
    if called != host:
        raise ValueError(f"the client would call {called or 'no host'}, and the address names {host}: write it plainly")
    return host.rstrip(".")


def _addresses_of(host: str) -> Iterator[Address]:
    """Yield the addresses that a name leads to, also one that is a number; none where it is not known here."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return
    for *_, address in found:
        yield ipaddress.ip_address(str(address[0]).partition("%")[0])


def _is_metadata(address: Address) -> bool:
    plain = address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address
    return plain.is_link_local or plain in _METADATA_ADDRESSES


def _is_this_machine(host: str) -> bool:
    addresses = list(_addresses_of(host))
    return bool(addresses) and all(address.is_loopback for address in addresses)
