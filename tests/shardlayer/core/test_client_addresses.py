"""Which addresses count as one client."""

from __future__ import annotations

import pytest

from shardlayer.core.client_addresses import UNREADABLE, address_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("203.0.113.7", "203.0.113.7:50123"),
        ("203.0.113.7", "::ffff:203.0.113.7"),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("2001:db8:1:2::1", "[2001:DB8:1:2::5]:443"),
        ("fe80::1", "fe80::2%eth0"),
    ],
)
def test_the_same_client(one: str, other: str) -> None:
    """Other ports, other ways to write it, and all of an IPv6 network."""
    key = address_key(one)
    assert key == address_key(other)
    assert key not in (None, UNREADABLE)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("203.0.113.7", "203.0.113.8"),
        ("2001:db8:1:2::1", "2001:db8:1:3::1"),
        ("203.0.113.7", "2001:db8:1:2::1"),
    ],
)
def test_different_clients(one: str, other: str) -> None:
    """Other addresses, other networks."""
    assert address_key(one) != address_key(other)


@pytest.mark.parametrize("host", [None, "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_nobody_in_particular(host: str | None) -> None:
    """A Unix socket, and this machine."""
    assert address_key(host) is None


@pytest.mark.parametrize(
    "host", ["", "unknown", "_hidden", "1.2.3", "1.2.3.4.5", "::g", "ä", "1\0", "[", "x" * 8_000]
)
def test_no_address(host: str) -> None:
    """Whatever else a proxy says counts as one client, however it is written."""
    assert address_key(host) == UNREADABLE
