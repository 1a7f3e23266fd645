"""Every way in which a server can be named, and none that leaks a password."""

from __future__ import annotations

import re

import pytest
from redis.credentials import CredentialProvider

from shardlayer.core.exceptions import ConfigurationError
from shardlayer.core.hosts import Host, parse_hosts
from shardlayer.core.options import LayerOptions


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
                "sentinels": [("a", 1), "b", "c:2", "::1", "[::2]:3", "[::4]"],
                "sentinel_kwargs": {"password": "s"},
                "db": 1,
            },
            Host(
                master_name="m",
                sentinels=(
                    *(("a", 1), ("b", 26379), ("c", 2)),
                    *(("::1", 26379), ("::2", 3), ("::4", 26379)),
                ),
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
        (["redis://x", "memory://"], "must be the only one"),
        ([{"master_name": "m"}], "without 'sentinels'"),
        ([{"master_name": "m", "sentinels": [3]}], "sentinels has 3"),
        ([{"master_name": "m", "sentinels": [("a", "x")]}], "sentinels has"),
        ([{"master_name": "m", "sentinels": ["a:x"]}], "sentinels has 'a:x'"),
    ],
)
def test_wrong_entry_is_named(hosts: object, named: str) -> None:
    """The error says which entry it is and what it may be."""
    with pytest.raises(ConfigurationError, match=named):
        parse_hosts(hosts)


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ("redis://user:secret@a:1/0", "redis://a:1/0"),
        ("redis://a:1?password=secret", "redis://a:1"),
        ("redis://a:1?db=2&password=secret", "redis://a:1?db=2"),
        ({"address": "redis://:secret@a", "username": "u", "password": "secret"}, "redis://a"),
        (
            {"master_name": "m", "sentinels": ["::1"], "password": "secret"},
            "sentinel://[::1]:26379/m",
        ),
    ],
)
def test_address_shows_no_password(entry: object, address: str) -> None:
    """Logs, errors and the admin show where a server is and no more."""
    assert parse_hosts([entry])[0].address == address


@pytest.mark.parametrize(
    "entry",
    [
        {"hots": "a", "password": "secret"},
        {"hots": "a", "sentinel_kwargs": {"password": "secret"}},
        {"address": {"x": "redis://u:secret@a"}},
        "redis//:secret@a",
        "redis://:secret/?@a:1",
        "redis://a:1?socket_timeout=secret",
        {"address": "redis://a", "password": "secret", "timeout": 3},
    ],
)
def test_error_shows_no_password(entry: object) -> None:
    """Whatever is wrong with an entry."""
    with pytest.raises(ConfigurationError) as caught:
        LayerOptions.from_config(hosts=[entry])
    assert "secret" not in str(caught.value)


class Provider(CredentialProvider):
    """Provides nothing; only its class is looked at."""


SENTINEL = {"master_name": "m", "sentinels": ["a"]}


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ({"address": "redis://a", "timeout": 3}, "'timeout'"),
        ({"host": "a", "sockettimeout": 3}, "'sockettimeout'"),
        ({"path": "/run/redis.sock", "socket_keepalive": True}, "'socket_keepalive'"),
        ({"address": "redis://a", "ssl": True}, "'ssl'"),
        ({"address": "rediss://a", "ssl_ca_cert": "x"}, "'ssl_ca_cert'"),
        ({**SENTINEL, "timeout": 3}, "'timeout'"),
        ({**SENTINEL, "sentinel_kwargs": {"timeout": 3}}, "'timeout'"),
        ("redis://a?timeout=3", "'timeout'"),
        ("redis://a?socket_timeout=x", "redis://a, whose URL can't be read"),
        ("redis://a:x", "whose URL can't be read"),
        ({"host": "a", "port": "x"}, "whose URL can't be read"),
        ({"address": "redis://a", "socket_timeout": "3"}, "socket_timeout '3'"),
        ({"address": "redis://a", "socket_connect_timeout": -1}, "socket_connect_timeout -1"),
        ({"address": "redis://a", "credential_provider": "me"}, "CredentialProvider"),
        (
            {"address": "redis://a", "credential_provider": Provider(), "username": "u"},
            "credential_provider",
        ),
    ],
)
def test_what_redis_py_does_not_take_is_named_at_start(entry: object, named: str) -> None:
    """And not by a task that dies of it, or by every call."""
    with pytest.raises(ConfigurationError, match=re.escape(named)):
        LayerOptions.from_config(hosts=[entry])


@pytest.mark.parametrize(
    "entry",
    [
        {"address": "redis://a?health_check_interval=3", "socket_timeout": 3, "db": "1"},
        {"host": "a", "ssl": True, "ssl_ca_certs": "/ca.pem", "socket_keepalive": True},
        {"address": "redis://a", "credential_provider": Provider()},
        {"path": "/run/redis.sock", "password": "p", "username": None},
        {**SENTINEL, "sentinel_kwargs": {"password": "p"}, "ssl": True, "password": "p"},
    ],
)
def test_what_redis_py_takes_is_let_through(entry: object) -> None:
    """Nothing that worked is refused."""
    assert LayerOptions.from_config(hosts=[entry]).hosts


def test_unix_socket_is_no_node_of_a_cluster() -> None:
    """Others could not be reached like it."""
    with pytest.raises(ConfigurationError, match="Unix socket"):
        LayerOptions.from_config(hosts=["unix:///run/redis.sock"], cluster=True)


@pytest.mark.parametrize(
    ("url", "hostname", "other"),
    [
        ("redis://a", "a", "redis://[::1]:7"),
        ("rediss://u:p%40@[::2]:6380?x=1", "::2", "rediss://u:p%40@[::1]:7?x=1"),
    ],
)
def test_other_server_is_reached_like_the_first(url: str, hostname: str, other: str) -> None:
    """With the same user, password and arguments, as a Cluster's nodes are."""
    host = Host(url=url, arguments={"password": "p"})
    assert host.hostname == hostname
    assert host.at("::1", 7) == Host(url=other, arguments={"password": "p"})


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
