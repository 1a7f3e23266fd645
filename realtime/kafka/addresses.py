"""A broker's address as people write it."""

from __future__ import annotations

import ipaddress
import re

DEFAULT_PORT = 9092

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})?")
_ADDRESS = re.compile(r"(\[(?P<literal>[^\]]*)\]|(?P<host>[^:\[\]]*))(:(?P<port>[0-9]{1,5}))?")


def address_of(text: str) -> str:
    """Return a broker's address as `host:port`, an IPv6 address in brackets.

    Without a port it is 9092.

    Raises:
        ValueError: It is none; says how one looks.
    """
    text = text.strip()
    if _is_ipv6(text):  # its colons are not before a port
        return f"[{text}]:{DEFAULT_PORT}"
    if (found := _ADDRESS.fullmatch(text)) is not None:
        host, literal, port = found["host"], found["literal"], int(found["port"] or DEFAULT_PORT)
        if 0 < port < 65_536:
            if literal is not None and _is_ipv6(literal):
                return f"[{literal}]:{port}"
            if host is not None and _HOST.fullmatch(host):
                return f"{host}:{port}"
    raise ValueError(
        f"{text!r:.100} is no broker's address, which has the form host:port or [IPv6]:port."
    )


def host_and_port(address: str) -> tuple[str, int]:
    """Take apart what `address_of` returned."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def is_address(text: str) -> bool:
    """Return whether it can be a broker's address."""
    try:
        address_of(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
