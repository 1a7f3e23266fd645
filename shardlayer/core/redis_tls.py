"""TLS to Redis: connections that are made alike share their `SSLContext`.

redis-py makes one for each connection. A layer of 32 servers stood still for seconds with it.
"""

from __future__ import annotations

import ssl
from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import RedisSSLContext, SSLConnection
from redis.asyncio.sentinel import SentinelConnectionPool, SentinelManagedSSLConnection

from shardlayer.core.tls_contexts import shared_context

# All but what it has made.
_SETTINGS = tuple(name for name in RedisSSLContext.__slots__ if name != "context")


class SharedSSLContext(RedisSSLContext):
    """What redis-py asks for a context; all with the same settings and files return the same."""

    __slots__ = ()

    def get(self) -> ssl.SSLContext:
        """Return the context.

        Raises:
            OSError: A file can't be read, or isn't what it should be (ssl.SSLError).
            ValueError: A setting can't be.
        """
        values: tuple[Any, ...] = tuple(getattr(self, name) for name in _SETTINGS)
        return shared_context(
            _make,
            *(tuple(value) if isinstance(value, list) else value for value in values),
            files=(self.keyfile, self.certfile, self.ca_certs),
            folders=(self.ca_path,),
        )


class TlsConnection(SSLConnection):
    """A TLS connection that shares its context."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        own = self.ssl_context
        self.ssl_context = SharedSSLContext(**{name: getattr(own, name) for name in _SETTINGS})


class SentinelTlsConnection(TlsConnection, SentinelManagedSSLConnection):
    """The same to the server that Sentinels call the primary."""


_SHARING: dict[type, type] = {
    SSLConnection: TlsConnection,
    SentinelManagedSSLConnection: SentinelTlsConnection,
}


def share_contexts(pool: ConnectionPool) -> None:
    """Have a pool's TLS connections share a context, and those to its Sentinels, too."""
    pools: list[Any] = [pool]  # not typed
    if isinstance(pool, SentinelConnectionPool):
        manager: Any = pool.sentinel_manager
        pools += [sentinel.connection_pool for sentinel in manager.sentinels]
    for each in pools:
        each.connection_class = _SHARING.get(each.connection_class, each.connection_class)


def _make(*values: Any) -> ssl.SSLContext:
    wanted = RedisSSLContext(**dict(zip(_SETTINGS, values, strict=True)))
    # What is wrong with these files is found before the system's are read, each time for nothing.
    trial = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if wanted.certfile or wanted.keyfile:
        trial.load_cert_chain(wanted.certfile, wanted.keyfile, wanted.password)  # type: ignore[arg-type]
    if wanted.ca_certs or wanted.ca_data or wanted.ca_path:
        trial.load_verify_locations(wanted.ca_certs, wanted.ca_path, wanted.ca_data)
    return wanted.get()
