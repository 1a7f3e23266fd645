"""Which addresses count as one client.

A client with one IPv6 address can use all 2^64 of its network (RFC 6177), so these count as one.
A name for an IPv4 address in IPv6 (`::ffff:192.0.2.1`, RFC 4291 2.5.5.2) is that address.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_pton

AddressKey = bytes
"""4 bytes of an IPv4 address, 8 of an IPv6 network, or `UNREADABLE`."""

UNREADABLE: AddressKey = b"?"
"""Stands for all that a proxy names which is no address: whoever sends it chooses it."""

_MAPPED = bytes(10) + b"\xff\xff"
_LOOPBACK = bytes(15) + b"\x01"
_LONGEST = 64  # characters of an address, with its zone


def address_key(host: str | None) -> AddressKey | None:
    """Return what to count a client's address under; a port behind it makes no difference.

    None of a loopback address, and where there is none (a Unix socket): that is a proxy on this
    machine which does not say for whom it asks, and so nobody in particular.
    """
    if host is None:
        return None
    if len(host) > _LONGEST:
        return UNREADABLE
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        if ":" not in host:
            packed = inet_pton(AF_INET, host)
        else:
            packed = inet_pton(AF_INET6, host.partition("%")[0])
            if packed == _LOOPBACK:
                return None
            if not packed.startswith(_MAPPED):
                return packed[:8]
            packed = packed[12:]
    except (OSError, ValueError):  # ValueError: a null character, or no ASCII
        return UNREADABLE
    return None if packed[0] == 127 else packed
