"""Who counts as one visitor."""

from __future__ import annotations

import ipaddress

IPV6_PREFIX = 64  # bits; a household is given as many addresses as it likes under one


def visitor_of(host: str) -> str:
    """The key that limits go by: an IPv4 address, or the /64 of an IPv6 one."""
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
    """Whether it is this machine: a person at it, or a reverse proxy that many come through."""
    return visitor.startswith("127.") or visitor == str(ipaddress.ip_network("::/64"))
