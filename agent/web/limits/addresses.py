"""Client addresses as keys for rate limits."""

from __future__ import annotations

import ipaddress

IPV6_PREFIX = 64  # bits of an IPv6 prefix; one household has all addresses below it


def visitor_of(host: str) -> str:
    """Return the key of a client for rate limits: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))


def is_loopback(visitor: str) -> bool:
    """Return whether the address is this machine: a local user, or a reverse proxy with many users."""
    return visitor.startswith("127.") or visitor == str(ipaddress.ip_network("::/64"))
