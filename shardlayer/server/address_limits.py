"""How many connections one address may have, and how often it may ask for one.

The address is the client's, or behind a trusted proxy the one that the proxy forwards. All of an
IPv6 /64 count as one. Clients on this machine itself are not counted: see `address_key`.
"""

from __future__ import annotations

from shardlayer.aio.tallies import Tally
from shardlayer.aio.token_buckets import Bucket, BucketTable
from shardlayer.core.client_addresses import AddressKey
from shardlayer.server.connection_limits import ConnectionLimits
from shardlayer.server.server_counters import counters

WINDOW = 10  # seconds that the rate of handshakes is averaged over
TOO_MANY_REQUESTS = 429  # HTTP status (RFC 6585, 4)
RETRY = {"Retry-After": str(WINDOW)}
TOO_MANY = "Too many connections from your address."
TOO_OFTEN = "Too many handshakes from your address in a short time."


class AddressLimits:
    """The addresses that have connections, or had a moment ago."""

    def __init__(self, limits: ConnectionLimits) -> None:
        rate = limits.address_handshake_rate
        self._connections: Tally[AddressKey] = Tally(limits.address_connections)
        self._handshakes: BucketTable[AddressKey] = BucketTable(Bucket(rate, rate * WINDOW))

    def enter(self, key: AddressKey) -> str:
        """Count a connection; return why it is refused, "" if it is not.

        Who enters calls `leave` once when the connection has ended.
        """
        if self._connections.enter(key):
            return ""
        counters.address_refused += 1
        return TOO_MANY

    def enter_by_handshake(self, key: AddressKey) -> str:
        """Do the same for a WebSocket, which costs more to open than to keep."""
        if not self._handshakes.take(key):
            counters.handshakes_refused += 1
            return TOO_OFTEN
        return self.enter(key)

    def leave(self, key: AddressKey) -> None:
        """Count a connection no more."""
        self._connections.leave(key)
