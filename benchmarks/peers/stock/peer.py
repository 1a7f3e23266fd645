"""How the stock peer is started."""

from __future__ import annotations

import sys

from benchmarks.greeting import Greeting
from benchmarks.peers.base import ROOM, Peer

STOCK = Peer(
    name="stock",
    title="Channels, channels_redis, Daphne",
    what="The Channels tutorial's AsyncWebsocketConsumer, channels_redis' pub/sub layer, Daphne.",
    command=(
        *(sys.executable, "-m", "daphne", "-v", "0", "-b", "127.0.0.1", "-p", "{port}"),
        "benchmarks.peers.stock.app:application",
    ),
    greeting=Greeting(path=f"/ws/chat/{ROOM}/"),
    emitter="benchmarks.peers.stock.emitter:StockEmitter",
    redis=True,
    steady_rate=0.5,
    environment={"DJANGO_SETTINGS_MODULE": "benchmarks.peers.stock.settings"},
    versions=("channels", "channels_redis", "daphne", "autobahn", "twisted", "redis", "django"),
)
