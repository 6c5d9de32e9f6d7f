"""Which addresses a host may be reached at: none of a private network unless reconciler.yaml allows it.

A name is looked up once and the connection goes to the very address that was checked, so that a name cannot lead
elsewhere the second time.
"""

from __future__ import annotations

import ipaddress
import math
import socket
import time
from collections.abc import Callable, Iterable

from reconciler.model.diagnostic import Diagnostic, Refusal, build_error
from reconciler.network.lookup import resolve_host

#: Whether reconciler.yaml names this host or address under `network: allow:` (`config.models.settings.Network.allows`).
HostFilter = Callable[[str], bool]

#: IPv4 written as IPv6, which the system itself connects to (RFC 4291, 2.5.5.2).
_MAPPED = (ipaddress.IPv6Network("::ffff:0:0/96"),)
#: IPv6 networks that carry an IPv4 address in their last four bytes: mapped, compatible (RFC 4291, 2.5.5.1), translated
#: (RFC 2765) and NAT64 (RFC 6052).
_LAST_FOUR_BYTES = (
    *_MAPPED,
    ipaddress.IPv6Network("::/96"),
    ipaddress.IPv6Network("::ffff:0:0:0/96"),
    ipaddress.IPv6Network("64:ff9b::/96"),
)
#: Translation within a network of somebody's own (RFC 8215).
_LOCAL_TRANSLATION = ipaddress.IPv6Network("64:ff9b:1::/48")

#: Seconds for one attempt to connect.
CONNECT_TIMEOUT = 15.0


def resolve_allowed_addresses(host: str, port: int, allows: HostFilter, timeout: float = math.inf) -> tuple[str, ...]:
    """Every address of a host, as numbers, in the system's order. within: seconds that are left for it.

    Raises Refusal: `unknown-host` as `lookup.looked_up`, `private-host` where any of its addresses is of a private
    network and neither the name nor that address is allowed.
    """
    numbers = resolve_host(host, port, timeout)
    if not allows(host):
        private = [number for number in numbers if not _is_public(number) and not allows(number)]
        if private:
            raise Refusal([_make_private_host_error(host, private)])
    return numbers


def open_connection(
    host: str,
    port: int,
    allows: HostFilter,
    timeout: float = math.inf,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> socket.socket:
    """A connection to the first address that answers in CONNECT_TIMEOUT. within: seconds for all of it, the look-up
    included. clock: seconds that only go forward.

    Raises Refusal as `addresses`, and `host-unreachable` where none answers."""
    end = clock() + timeout
    last: OSError | None = None
    for number in resolve_allowed_addresses(host, port, allows, timeout):
        left = end - clock()
        if left <= 0:
            break
        try:
            return socket.create_connection((number, port), min(CONNECT_TIMEOUT, left))
        except OSError as problem:
            last = problem
    raise make_unreachable_refusal(host, port, last) from last


def make_unreachable_refusal(host: str, port: int, problem: OSError | None) -> Refusal:
    """`host-unreachable`, with the system's reason if there is one."""
    why = (problem.strerror if problem else None) or "no answer in time"
    return Refusal(
        [
            build_error(
                "host-unreachable",
                f"no connection to {host} port {port}: {why}",
                hint="check host and port, and that the server lets this machine in; the next fetch tries again",
            )
        ]
    )


def _is_public(number: str) -> bool:
    """An address that carries others counts as the least public of them: a translator sends on to what is inside."""
    address = ipaddress.ip_address(number.partition("%")[0])
    carried = _extract_ipv4_addresses(address) if isinstance(address, ipaddress.IPv6Address) else ()
    if any(address in network for network in _MAPPED):
        return all(_is_global(each) for each in carried)
    return all(_is_global(each) for each in (address, *carried))


def _is_global(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and (address.is_site_local or address in _LOCAL_TRANSLATION):
        return False
    return address.is_global and not address.is_multicast


def _extract_ipv4_addresses(address: ipaddress.IPv6Address) -> tuple[ipaddress.IPv4Address, ...]:
    """The IPv4 addresses within an IPv6 one."""
    if any(address in network for network in _LAST_FOUR_BYTES):
        return (ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF),)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    return address.teredo or ()


def _make_private_host_error(host: str, addresses: Iterable[str]) -> Diagnostic:
    numbers = ", ".join(addresses)
    return build_error(
        "private-host",
        f"{host} is an address of a private network"
        if numbers == host
        else f"{host} leads to {numbers}, an address of a private network",
        hint="name the host or its network under network: allow: in reconciler.yaml if that is meant",
    )
