"""How the peer that does nothing is started."""

from __future__ import annotations

import sys

from benchmarks.greeting import Greeting
from benchmarks.peers.base import Peer

IDLE_DAPHNE = Peer(
    name="idle",
    title="Daphne doing nothing",
    what="Stock Daphne with a bare ASGI application that accepts and waits: no subscription.",
    command=(
        *(sys.executable, "-m", "daphne", "-v", "0", "-b", "127.0.0.1", "-p", "{port}"),
        "benchmarks.peers.idle.app:application",
    ),
    greeting=Greeting(path="/"),
    emitter=None,
    redis=False,
    versions=("daphne", "autobahn", "twisted"),
)
