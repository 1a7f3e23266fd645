"""How many streams one address may have in this process.

The server can't tell: behind a proxy the connections of HTTP are the proxy's own, and over HTTP/2
one connection carries many streams. An address is forgotten with its last stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from realtime.conf import Conf
from shardlayer import Tally, address_key

_latest: tuple[Conf, Tally[bytes]] | None = None


class AddressPlace:
    """The place that one stream takes among those of its address.

    Args:
        conf: Says how many there are.
        client: Host and port, as the scope has them, or None. See `address_key` on who counts.
    """

    __slots__ = ("_key", "_taken")

    def __init__(self, conf: Conf, client: Sequence[Any] | None) -> None:
        self._key = address_key(client[0]) if client else None
        self._taken = _tally(conf)

    def enter(self) -> bool:
        """Take the place; say whether there was one. Who took it calls `leave` once."""
        return self._key is None or self._taken.enter(self._key)

    def leave(self) -> None:
        """Give the place back."""
        if self._key is not None:
            self._taken.leave(self._key)


def _tally(conf: Conf) -> Tally[bytes]:
    """Return what is counted in: the same for the same settings."""
    global _latest
    if _latest is None or _latest[0] is not conf:
        _latest = (conf, Tally(conf.max_address_streams))
    return _latest[1]
