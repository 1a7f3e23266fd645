"""TLS to Redis: connections that are made alike share what they check certificates with.

redis-py makes an `SSLContext` for each connection, and Python reads all certificates that the
system trusts into each. That takes 20 ms and more, and the event loop stands still meanwhile: for
seconds, when a layer of 32 servers connects. One context may serve any number of connections.

Changed files are noticed: the next connection uses a renewed certificate.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Hashable
from functools import lru_cache
from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import RedisSSLContext, SSLConnection
from redis.asyncio.sentinel import SentinelConnectionPool, SentinelManagedSSLConnection

KEPT = 32  # contexts: one for each way in which CONFIG has servers connected to

_MADE = "context"  # the one attribute of RedisSSLContext that is no setting
_FILES = ("keyfile", "certfile", "ca_certs", "ca_path")

_Settings = tuple[tuple[str, Hashable], ...]


class SharedSSLContext(RedisSSLContext):
    """What redis-py asks for a context; all with the same settings and files return the same."""

    __slots__ = ()

    def get(self) -> ssl.SSLContext:
        """Return the context.

        Raises:
            OSError: A file can't be read, or isn't what it should be (ssl.SSLError).
        """
        names = (name for name in RedisSSLContext.__slots__ if name != _MADE)
        return _made(
            tuple((name, _hashable(getattr(self, name))) for name in names),
            tuple(_state(path) for path in (*self._files(), *_system_files())),
        )

    def _files(self) -> list[str | None]:
        return [getattr(self, name) for name in _FILES]


class TlsConnection(SSLConnection):
    """A TLS connection that shares its context."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.ssl_context = _shared(self.ssl_context)


class SentinelTlsConnection(SentinelManagedSSLConnection):
    """The same to the server that Sentinels call the primary."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)  # type: ignore[no-untyped-call]
        self.ssl_context = _shared(self.ssl_context)


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


def _shared(own: RedisSSLContext) -> SharedSSLContext:
    names = (name for name in RedisSSLContext.__slots__ if name != _MADE)
    return SharedSSLContext(**{name: getattr(own, name) for name in names})


@lru_cache(maxsize=KEPT)
def _made(settings: _Settings, _files: tuple[Hashable, ...]) -> ssl.SSLContext:
    return RedisSSLContext(**dict(settings)).get()  # type: ignore[arg-type]


def _hashable(value: Any) -> Hashable:
    return tuple(value) if isinstance(value, list) else value


def _state(path: str | None) -> Hashable:
    """Return what tells a file from the one that was there before."""
    if path is None:
        return None
    try:
        found = os.stat(path)
    except OSError:
        return None  # who reads it says what is wrong
    return found.st_ino, found.st_size, found.st_mtime_ns


def _system_files() -> tuple[str | None, str | None]:
    """Return where the system keeps the certificates that it trusts."""
    paths = ssl.get_default_verify_paths()
    return paths.cafile, paths.capath
