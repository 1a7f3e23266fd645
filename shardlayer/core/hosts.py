"""Where the servers are: what `hosts` in CONFIG may list. schemes.py says what is at each.

Understood as channels_redis understands them: URLs, (host, port) pairs, dictionaries of an
`address` or of `host` and `port` with more arguments of redis-py's connections, and dictionaries
that name a primary to ask Sentinels for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from shardlayer.core.exceptions import ConfigurationError
from shardlayer.core.schemes import Scheme, find_scheme, url_beginnings

DEFAULT_URL = "redis://127.0.0.1:6379"
SENTINEL_PORT = 26379

_SENTINEL_KEYS = ("master_name", "sentinels", "sentinel_kwargs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One server, or the primary that Sentinels name.

    Attributes:
        url: A URL; empty for a server that Sentinels name.
        arguments: More arguments of redis-py's connection.
        master_name: The primary's name at the Sentinels; empty without Sentinels.
        sentinels: The Sentinels, as (host, port).
        sentinel_arguments: More arguments of the connections to the Sentinels.
    """

    url: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    master_name: str = ""
    sentinels: tuple[tuple[str, int], ...] = ()
    sentinel_arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where it is, without user and password: what logs, errors and the admin show."""
        database = f"?db={self.arguments['db']}" if self.arguments.get("db") else ""
        if self.master_name:
            listed = ",".join(_place(host, port) for host, port in self.sentinels)
            return f"sentinel://{listed}/{self.master_name}{database}"
        scheme, _, rest = self.url.partition("://")
        place, _, query = rest.partition("?")
        if _is_broken(self.url):  # by a password that is not quoted, perhaps
            place = rest
        if not database and (listed_database := parse_qs(query).get("db")):
            database = f"?db={listed_database[0]}"
        return f"{scheme}://{place.rpartition('@')[2]}{database}"

    @property
    def hostname(self) -> str:
        """The name or IP address in its URL, an IPv6 address without brackets."""
        return urlsplit(self.url).hostname or "localhost"

    def at(self, hostname: str, port: int) -> Host:
        """Return another server that is reached like this one: its URL but for host and port."""
        parts = urlsplit(self.url)
        user, at, _ = parts.netloc.rpartition("@")
        return replace(
            self, url=urlunsplit(parts._replace(netloc=f"{user}{at}{_place(hostname, port)}"))
        )

    @property
    def scheme(self) -> Scheme:
        """What is known of its scheme, by which its backend is chosen.

        Raises:
            ConfigurationError: Naming the schemes that are known, if its own is not.
        """
        name = "sentinel" if self.master_name else self.url.partition("://")[0]
        scheme = find_scheme(name)
        if scheme is None:
            raise ConfigurationError(_unknown(self.address))
        return scheme

    @property
    def is_unix(self) -> bool:
        """Whether it is reached over a Unix socket."""
        return self.url.startswith("unix://")

    @property
    def is_redis(self) -> bool:
        """Whether it is a Redis server, which redis-py reaches."""
        return self.scheme.is_redis


def parse_hosts(value: object) -> tuple[Host, ...]:
    """Return the hosts that `hosts` in CONFIG lists.

    Raises:
        ConfigurationError: Naming the entry that is wrong and what it may be.
    """
    items = [value] if isinstance(value, (str, Host)) else value
    if not isinstance(items, (list, tuple)) or not items:
        raise ConfigurationError(
            f"hosts is {value!r}; it takes a list of addresses such as {DEFAULT_URL!r}."
        )
    hosts = tuple(_parse(item) for item in items)
    addresses = [host.address for host in hosts]
    twice = sorted({address for address in addresses if addresses.count(address) > 1})
    if twice:
        raise ConfigurationError(
            f"hosts lists {', '.join(twice)} twice. List each server once: it holds its own shards."
        )
    for host in hosts:
        if len(hosts) > 1 and host.scheme.is_alone:
            raise ConfigurationError(
                f"hosts lists {host.address} beside others; it must be the only one."
            )
        if host.scheme.opens != hosts[0].scheme.opens:
            raise ConfigurationError(
                f"hosts lists {hosts[0].address} and {host.address}, which need different backends."
            )
    return hosts


def _parse(item: object) -> Host:
    if isinstance(item, Host):
        return item
    if isinstance(item, str) and item.startswith(url_beginnings()):
        return Host(url=item)
    if isinstance(item, (list, tuple)) and len(item) == 2:
        return Host(url=f"redis://{_place(*item)}")
    if isinstance(item, Mapping):
        arguments = {str(key): argument for key, argument in item.items()}
        if "master_name" in arguments:
            return _parse_sentinel(arguments)
        if "address" in arguments:
            host = _parse(arguments.pop("address"))
            return Host(url=host.url, arguments=arguments)
        if "path" in arguments:
            return Host(url=f"unix://{arguments.pop('path')}", arguments=arguments)
        if "host" in arguments or "port" in arguments:
            place = _place(arguments.pop("host", "localhost"), arguments.pop("port", 6379))
            scheme = "rediss" if arguments.pop("ssl", False) else "redis"
            return Host(url=f"{scheme}://{place}", arguments=arguments)
    raise ConfigurationError(_unknown(_without_secrets(item)))


def _unknown(item: object) -> str:
    return (
        f"hosts has {item!r}; an address is a URL ({', '.join(url_beginnings())}), a (host, port) "
        f"pair, a dictionary with 'address', 'path' or 'host' and 'port', or one with "
        f"'master_name' and 'sentinels'."
    )


def _is_broken(url: str) -> bool:
    """Tell whether what stands where the port should is none."""
    try:
        return urlsplit(url).port == 0
    except ValueError:
        return True


def _place(host: object, port: object) -> str:
    """Return host and port as a URL has them, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


def _parse_sentinel(arguments: dict[str, Any]) -> Host:
    sentinels = arguments.get("sentinels")
    if not isinstance(sentinels, Sequence) or isinstance(sentinels, str) or not sentinels:
        raise ConfigurationError(
            f"hosts has a master_name without 'sentinels': {sentinels!r}; it takes a list of "
            f"(host, port) pairs."
        )
    return Host(
        master_name=str(arguments["master_name"]),
        sentinels=tuple(_sentinel(entry) for entry in sentinels),
        sentinel_arguments=dict(arguments.get("sentinel_kwargs") or {}),
        arguments={key: value for key, value in arguments.items() if key not in _SENTINEL_KEYS},
    )


def _sentinel(entry: object) -> tuple[str, int]:
    try:
        if isinstance(entry, (list, tuple)) and len(entry) == 2:
            return str(entry[0]), int(entry[1])
        if isinstance(entry, str):
            # `[::1]:26379`, or an IPv6 address alone, which has several colons.
            netloc = entry if entry.startswith("[") or entry.count(":") < 2 else f"[{entry}]"
            parts = urlsplit(f"//{netloc}")
            if parts.hostname:
                return parts.hostname, parts.port or SENTINEL_PORT
    except (TypeError, ValueError):
        pass
    raise ConfigurationError(f"sentinels has {entry!r}; a Sentinel is a (host, port) pair.")


def _without_secrets(item: object) -> object:
    """Return what an error may show of an entry: passwords stay out of logs."""
    if isinstance(item, Mapping):
        return {
            key: "…" if "pass" in str(key) else _without_secrets(value)
            for key, value in item.items()
        }
    if isinstance(item, str) and "@" in item:
        return f"…@{item.rpartition('@')[2]}"
    return item
