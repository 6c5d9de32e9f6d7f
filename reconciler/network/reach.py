"""Connections to allowed addresses only: none in a private network unless reconciler.yaml allows it.

Each name is looked up once and the connection uses the address that was checked, so that a second lookup cannot lead
to another address (DNS rebinding).
"""

import ipaddress
import math
import socket
import time
from collections.abc import Callable, Iterable

from reconciler.model.diagnostic import Diagnostic, Refusal, build_error
from reconciler.network.lookup import resolve_host

#: Tells if reconciler.yaml lists a host or address under network.allow (`config.models.settings.Network.allows`).
HostFilter = Callable[[str], bool]

#: IPv4 addresses written as IPv6, to which the system connects directly (RFC 4291, 2.5.5.2).
_MAPPED = (ipaddress.IPv6Network("::ffff:0:0/96"),)
#: IPv6 networks that carry an IPv4 address in their last four bytes: mapped, compatible (RFC 4291, 2.5.5.1), translated
#: (RFC 2765) and NAT64 (RFC 6052).
_LAST_FOUR_BYTES = (
    *_MAPPED,
    ipaddress.IPv6Network("::/96"),
    ipaddress.IPv6Network("::ffff:0:0:0/96"),
    ipaddress.IPv6Network("64:ff9b::/96"),
)
#: Translation within a local network (RFC 8215).
_LOCAL_TRANSLATION = ipaddress.IPv6Network("64:ff9b:1::/48")

#: In seconds, for one connection attempt.
CONNECT_TIMEOUT = 15.0


def resolve_allowed_addresses(host: str, port: int, allows: HostFilter, timeout: float = math.inf) -> tuple[str, ...]:
    """Return every numeric address of a host, in the system's order, within `timeout` seconds.

    Raises Refusal: `unknown-host` as `resolve_host` does, `private-host` if an address is in a private network and
    neither the name nor that address is allowed.
    """
    addresses = resolve_host(host, port, timeout)
    if not allows(host):
        private = [address for address in addresses if not _is_public(address) and not allows(address)]
        if private:
            raise Refusal([_make_private_host_error(host, private)])
    return addresses


def open_connection(
    host: str,
    port: int,
    allows: HostFilter,
    timeout: float = math.inf,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> socket.socket:
    """Connect to the first address that answers within CONNECT_TIMEOUT, in `timeout` seconds including the lookup.

    Raises Refusal as `resolve_allowed_addresses` does, and `host-unreachable` if no address answers."""
    end = clock() + timeout
    last: OSError | None = None
    for address in resolve_allowed_addresses(host, port, allows, timeout):
        remaining = end - clock()
        if remaining <= 0:
            break
        try:
            return socket.create_connection((address, port), min(CONNECT_TIMEOUT, remaining))
        except OSError as problem:
            last = problem
    raise make_unreachable_refusal(host, port, last) from last


def make_unreachable_refusal(host: str, port: int, problem: OSError | None) -> Refusal:
    """Return the Refusal `host-unreachable`, with the system's reason if there is one."""
    why = (problem.strerror if problem else None) or "no answer in time"
    return Refusal(
        [
            build_error(
                "host-unreachable",
                f"cannot connect to {host} port {port}: {why}",
                hint="Check the host, the port and the server's firewall. The next fetch tries again.",
            )
        ]
    )


def _is_public(text: str) -> bool:
    # A translator forwards to the address inside, so an address that carries others must have only public ones.
    address = ipaddress.ip_address(text.partition("%")[0])
    carried = _extract_ipv4_addresses(address) if isinstance(address, ipaddress.IPv6Address) else ()
    if any(address in network for network in _MAPPED):
        return all(_is_global(each) for each in carried)
    return all(_is_global(each) for each in (address, *carried))


def _is_global(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and (address.is_site_local or address in _LOCAL_TRANSLATION):
        return False
    return address.is_global and not address.is_multicast


def _extract_ipv4_addresses(address: ipaddress.IPv6Address) -> tuple[ipaddress.IPv4Address, ...]:
    if any(address in network for network in _LAST_FOUR_BYTES):
        return (ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF),)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    return address.teredo or ()


def _make_private_host_error(host: str, addresses: Iterable[str]) -> Diagnostic:
    listed = ", ".join(addresses)
    return build_error(
        "private-host",
        f"{host} is in a private network" if listed == host else f"{host} resolves to {listed} in a private network",
        hint="To allow it, add the host or its network to network.allow in reconciler.yaml.",
    )
