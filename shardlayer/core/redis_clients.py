"""Makes redis-py's clients of a server, and checks their arguments.

redis-py names its arguments in the constructors of its connections, and looks at them when it makes
one. So a connection is made, but not opened, to check what `hosts` in CONFIG says.
"""

from __future__ import annotations

from functools import cache
from numbers import Real
from typing import Any
from urllib.parse import parse_qs, urlsplit

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.driver_info import DriverInfo
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from shardlayer.core.exceptions import ConfigurationError
from shardlayer.core.hosts import Host
from shardlayer.core.redis_tls import share_contexts

CONNECT_TIMEOUT = 2.0  # seconds

_NAMES_LIBRARY = {"driver_info", "lib_name", "lib_version"}  # what the connection is called
_SECONDS = ("socket_timeout", "socket_connect_timeout", "health_check_interval")


def connect(host: Host, *, timeout: float) -> Redis:
    """Return a client that keeps one connection to a server and never retries by itself.

    It speaks RESP2, whose replies do not differ between Redis 7 and Valkey 9. Retries are the
    callers', who know which command may be repeated. `timeout` bounds a reply, in seconds. Behind
    Sentinels every new connection asks anew which server is the primary. A Sentinel that is silent
    costs one of its time limits, CONNECT_TIMEOUT.
    """
    arguments: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": min(CONNECT_TIMEOUT, timeout),
        **host.arguments,
        "max_connections": 1,
        "protocol": 2,
        "decode_responses": False,
        "retry": Retry(NoBackoff(), 0),
        "client_name": "shardlayer",
    }
    if not _NAMES_LIBRARY & (arguments.keys() | parse_qs(urlsplit(host.url).query).keys()):
        arguments["driver_info"] = _driver_info()
    if host.master_name:
        sentinel = Sentinel(  # type: ignore[no-untyped-call]
            host.sentinels,
            sentinel_kwargs={
                "socket_timeout": CONNECT_TIMEOUT,
                "socket_connect_timeout": CONNECT_TIMEOUT,
                "driver_info": _driver_info(),
                # A kept connection may have ended. One that is silent is not tried again.
                "retry": Retry(NoBackoff(), 1, (RedisConnectionError,)),
                **host.sentinel_arguments,
            },
        )
        pool: ConnectionPool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
            host.master_name, sentinel, check_connection=True, **arguments
        )
    else:
        pool = ConnectionPool.from_url(host.url, **arguments)
    share_contexts(pool)
    return Redis.from_pool(pool)


@cache
def _driver_info() -> DriverInfo:
    """Return what redis-py says of itself: for each connection it would read its wheel's files."""
    return DriverInfo()


def require_valid(host: Host) -> None:
    """Refuse a server whose URL or arguments redis-py does not take. Connects to nothing.

    Raises:
        ConfigurationError: Naming the server and what is wrong; no password is in it.
    """
    for name in _SECONDS:
        value = host.arguments.get(name)
        if value is not None and (not isinstance(value, Real) or value < 0):
            raise ConfigurationError(
                f"hosts has {host.address} with {name} {value!r}; it takes a number of seconds."
            )
    provider = host.arguments.get("credential_provider")
    if provider is not None and not isinstance(provider, CredentialProvider):
        raise ConfigurationError(
            f"hosts has {host.address} with credential_provider {provider!r}; it takes a "
            f"redis.credentials.CredentialProvider."
        )
    try:
        pool: Any = connect(host, timeout=CONNECT_TIMEOUT).connection_pool  # not typed
        pool.make_connection()
    except (TypeError, AttributeError, RedisError) as error:  # an argument, which has no secret
        raise ConfigurationError(
            f"hosts has {host.address} with arguments that redis-py does not take: {error}."
        ) from error
    except ValueError:  # in the URL: it may say what the password is
        raise ConfigurationError(
            f"hosts has {host.address}, whose URL can't be read. Write / ? # @ in a user's name or "
            f"a password as %2F %3F %23 %40."
        ) from None
