"""The schemes of addresses that `hosts` may have, and what keeps the shards at each.

This is the one table by which a backend is chosen. A backend is named by its dotted path, and
imported when it is first used. docs/brokers.md says how to add a backend of another bus.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from shardlayer.core.exceptions import ConfigurationError

REDIS = "shardlayer.broker.redis.redis_broker:open_backend"
MEMORY = "shardlayer.broker.memory.memory_broker:open_backend"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """What is known of the addresses of one scheme.

    Attributes:
        opens: The dotted path, `module:function`, of what opens a backend. It is called in the
            event loop of the backend, with the layer's options and the tasks of the engine.
        is_url: Whether an address may be written as a URL; Sentinels' are dictionaries.
        is_alone: Whether no other address may stand beside one of it.
    """

    opens: str
    is_url: bool = True
    is_alone: bool = False

    @property
    def is_redis(self) -> bool:
        """Whether a Redis server is there, so that redis-py reads the address."""
        return self.opens == REDIS

    def load(self) -> Any:
        """Import what opens a backend, and return it."""
        module, _, name = self.opens.partition(":")
        return getattr(import_module(module), name)


_schemes = {
    "redis": Scheme(opens=REDIS),
    "rediss": Scheme(opens=REDIS),
    "unix": Scheme(opens=REDIS),
    "sentinel": Scheme(opens=REDIS, is_url=False),
    "memory": Scheme(opens=MEMORY, is_alone=True),
}


def register_scheme(name: str, *, opens: str, is_alone: bool = False) -> None:
    """Have addresses `name://…` in `hosts` kept by another backend, from now on.

    Call it where the settings are, or in an AppConfig's `ready`: before the layer is made.

    Args:
        name: The scheme, in lower case, without `://`.
        opens: The dotted path, `module:function`, of what opens a backend: see `Scheme`.
        is_alone: Whether no other address may stand beside one of it.

    Raises:
        ConfigurationError: If the scheme is known already, by another backend, or `opens` is no
            `module:function`.
    """
    module, _, function = opens.partition(":")
    if not module or not function:
        raise ConfigurationError(f"opens is {opens!r}; it takes a 'module:function'.")
    scheme = Scheme(opens=opens, is_alone=is_alone)
    if _schemes.setdefault(name, scheme) != scheme:
        raise ConfigurationError(f"The scheme {name}:// is {_schemes[name].opens} already.")


def find_scheme(name: str) -> Scheme | None:
    """Return what is known of a scheme, None if it is not known."""
    return _schemes.get(name)


def url_beginnings() -> tuple[str, ...]:
    """Return how a URL in `hosts` may begin: `redis://` and so on."""
    return tuple(f"{name}://" for name, scheme in _schemes.items() if scheme.is_url)
