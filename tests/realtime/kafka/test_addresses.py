"""Brokers' addresses, as people write them."""

from __future__ import annotations

import pytest

from realtime.kafka.addresses import address_of, host_and_port, is_address
from realtime.kafka.brokers import Brokers


@pytest.mark.parametrize(
    ("text", "address", "parts"),
    [
        ("kafka:9093", "kafka:9093", ("kafka", 9093)),
        ("kafka", "kafka:9092", ("kafka", 9092)),
        (" kafka-1.site.example:9092\n", "kafka-1.site.example:9092", None),
        ("my_kafka", "my_kafka:9092", None),
        ("127.0.0.1:1", "127.0.0.1:1", ("127.0.0.1", 1)),
        ("[::1]:9093", "[::1]:9093", ("::1", 9093)),
        ("[::1]", "[::1]:9092", ("::1", 9092)),
        ("::1", "[::1]:9092", ("::1", 9092)),
        ("[2001:db8::a]:65535", "[2001:db8::a]:65535", ("2001:db8::a", 65_535)),
    ],
)
def test_address(text: str, address: str, parts: tuple[str, int] | None) -> None:
    """A port may be left out, and an IPv6 address has brackets before one."""
    assert address_of(text) == address
    assert parts is None or host_and_port(address) == parts
    assert Brokers(servers=[text], options={}).servers == (address,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ":9092",
        "kafka:",
        "kafka:0",
        "kafka:65536",
        "kafka:ninety",
        "kafka:-1",
        "kafka:9092:1",
        "kafka://kafka:9092",
        "http://kafka",
        "two words:9092",
        "[::1",
        "::1]:9092",
        "[kafka]:9092",
        "[::1]9092",
        "[]:9092",
        "-:9092",
        "a\n.b:9092",
        "kafka:\u0669",
    ],
)
def test_no_address(text: str) -> None:
    """It is refused in words, before anything connects."""
    assert not is_address(text)
    with pytest.raises(ValueError, match="is no broker's address, which has the form host:port"):
        Brokers(servers=["kafka:1", text], options={})


def test_no_servers() -> None:
    """One has to be there to find the others by."""
    with pytest.raises(ValueError, match="At least one Kafka broker is needed"):
        Brokers(servers=[], options={})
