"""What is measured: each package holds how one peer is started, served and published to."""

from __future__ import annotations

from benchmarks.peers.base import Peer
from benchmarks.peers.guarded.peers import GUARDED, UNGUARDED
from benchmarks.peers.idle.peer import IDLE_DAPHNE
from benchmarks.peers.ours.peer import OURS
from benchmarks.peers.send.peer import SEND
from benchmarks.peers.signed_in.peers import (
    JWT,
    NOTE,
    SESSION,
    SIGNED_ROOM,
    STOCK_SESSION,
    TOKEN,
)
from benchmarks.peers.socketio.peer import SOCKETIO
from benchmarks.peers.stock.peer import STOCK
from benchmarks.peers.uvloop.peer import UVLOOP

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        *(OURS, SEND, IDLE_DAPHNE, STOCK, SOCKETIO),
        *(SIGNED_ROOM, SESSION, STOCK_SESSION, TOKEN, JWT, NOTE),
        *(GUARDED, UNGUARDED),
        UVLOOP,
    )
}
"""By name, in the order of the tables."""
