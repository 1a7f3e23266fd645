"""Every way in which a server can be named, and none that leaks a password."""

from __future__ import annotations

import pytest

from shardlayer.exceptions import ConfigurationError
from shardlayer.hosts import Host, parse_hosts


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ("redis://a", Host(url="redis://a")),
        ("rediss://u:p@a:6380/2", Host(url="rediss://u:p@a:6380/2")),
        ("unix:///run/redis.sock?db=1", Host(url="unix:///run/redis.sock?db=1")),
        (("a", 1), Host(url="redis://a:1")),
        (["a", 1], Host(url="redis://a:1")),
        (("::1", 1), Host(url="redis://[::1]:1")),
        ({"host": "::1", "port": 1}, Host(url="redis://[::1]:1")),
        ({"address": "redis://a"}, Host(url="redis://a")),
        ({"address": "redis://a", "db": 3}, Host(url="redis://a", arguments={"db": 3})),
        ({"address": ("a", 1)}, Host(url="redis://a:1")),
        ({"host": "a", "port": 1}, Host(url="redis://a:1")),
        ({"host": "a", "password": "p"}, Host(url="redis://a:6379", arguments={"password": "p"})),
        ({"host": "a", "port": 1, "ssl": True}, Host(url="rediss://a:1")),
        ({"path": "/run/redis.sock"}, Host(url="unix:///run/redis.sock")),
        (
            {
                "master_name": "m",
                "sentinels": [("a", 1), "b", "c:2"],
                "sentinel_kwargs": {"password": "s"},
                "db": 1,
            },
            Host(
                master_name="m",
                sentinels=(("a", 1), ("b", 26379), ("c", 2)),
                sentinel_arguments={"password": "s"},
                arguments={"db": 1},
            ),
        ),
    ],
)
def test_entry_is_understood(entry: object, host: Host) -> None:
    """As channels_redis understands it."""
    assert parse_hosts([entry]) == (host,)


def test_one_url_may_stand_alone() -> None:
    """A list with one entry may be written without the list."""
    assert parse_hosts("redis://a") == parse_hosts(["redis://a"])


@pytest.mark.parametrize(
    ("hosts", "named"),
    [
        ([], "hosts is"),
        (None, "hosts is None"),
        (["x:6379"], "'x:6379'"),
        ([7], "hosts has 7"),
        ([{"name": "x"}], "'name': 'x'"),
        (["redis://x", "redis://x"], "redis://x twice"),
        (["redis://x:1", ("x", 1)], "redis://x:1 twice"),
        (["redis://x", "memory://"], "goes alone"),
        ([{"master_name": "m"}], "without 'sentinels'"),
        ([{"master_name": "m", "sentinels": [3]}], "sentinels has 3"),
    ],
)
def test_wrong_entry_is_named(hosts: object, named: str) -> None:
    """The error says which entry it is and what it may be."""
    with pytest.raises(ConfigurationError, match=named):
        parse_hosts(hosts)


def test_password_is_shown_nowhere() -> None:
    """Neither in an address nor in an error."""
    (host,) = parse_hosts(["redis://user:secret@a:1/0"])
    assert host.address == "redis://a:1/0"
    with pytest.raises(ConfigurationError) as caught:
        parse_hosts([{"hots": "a", "password": "secret"}])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "entry",
    [
        {"address": "redis://a:1"},
        {"host": "a", "port": 1},
        {"path": "/run/redis.sock"},
        {"master_name": "m", "sentinels": [("a", 1)]},
    ],
)
def test_databases_of_one_server_are_told_apart(entry: dict[str, object]) -> None:
    """Several databases of one server may be listed, as channels_redis' own tests do."""
    hosts = parse_hosts([{**entry, "db": number} for number in range(3)])
    assert len({host.address for host in hosts}) == 3
