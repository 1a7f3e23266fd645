"""Signals for each client that comes and goes, and for each room that it joins and leaves.

They are sent in the process that serves the client, once each. A process that is killed takes those
of its clients with it, so what must be known of them later is better asked: `presence()`.

Receivers run in a thread of their own, in order, one after another. They get `client`, the id of
the connection (see `client_of`), and `user`, the primary key of its user as text: None if nobody is
signed in, or nobody had to ask yet who that is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Self

from django.dispatch import Signal

from realtime.access.identity import Identity
from realtime.background_signals import BackgroundSignals

client_connected = Signal()
"""A client has connected. Receivers get `client`, `user` and `address`, its IP address or None."""

client_disconnected = Signal()
"""A client has gone, after it left its rooms. Receivers get what `client_connected` gives."""

room_joined = Signal()
"""A client has joined a room. Receivers get `client`, `user` and `room`."""

room_left = Signal()
"""A client has left a room, was put out of it, or has gone. Receivers get what joining gives."""

SIGNALS: Final = (client_connected, client_disconnected, room_joined, room_left)

client_signals = BackgroundSignals(
    "client signals", sent="client_signals", dropped="client_signals_dropped"
)


class ToldClient:
    """One client of which receivers are told.

    Args:
        client: Returns the id of its connection.
        identity: Who is on the connection.
        address: Its IP address.
    """

    __slots__ = ("_address", "_client", "_identity", "_rooms")

    def __init__(self, client: Callable[[], str], identity: Identity, address: str | None) -> None:
        self._client = client()
        self._identity = identity
        self._address = address
        self._rooms: set[str] = set()
        self._send(client_connected, address=address)

    @classmethod
    def of(cls, client: Callable[[], str], identity: Identity, address: str | None) -> Self | None:
        """Return a client that has just connected; None if nobody listens, which costs nothing."""
        if not any(signal.receivers for signal in SIGNALS):
            return None
        return cls(client, identity, address)

    def joined(self, room: str) -> None:
        """Tell of a room, unless the client was in it."""
        if room not in self._rooms:
            self._rooms.add(room)
            self._send(room_joined, room=room)

    def left(self, room: str) -> None:
        """Tell of a room, if the client was in it."""
        if room in self._rooms:
            self._rooms.discard(room)
            self._send(room_left, room=room)

    def gone(self) -> None:
        """Tell of the client, and of the rooms that it was still in."""
        for room in sorted(self._rooms):
            self.left(room)
        self._send(client_disconnected, address=self._address)

    def _send(self, signal: Signal, **arguments: str | None) -> None:
        if not signal.receivers:
            return
        user = self._identity.known_key
        client_signals.send(signal, client=self._client, user=user, **arguments)
