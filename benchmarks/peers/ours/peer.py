"""How we are started."""

from __future__ import annotations

import sys

from benchmarks.greeting import Greeting, Step
from benchmarks.peers.base import ROOM, Peer

OURS = Peer(
    name="ours",
    title="Shardlayer",
    what="shardlayer-daphne serving RoomConsumer: a room with history.",
    command=(
        *(sys.executable, "-m", "shardlayer.server"),
        *(
            "-v",
            "0",
            "-b",
            "127.0.0.1",
            "-p",
            "{port}",
            "benchmarks.peers.ours.application:application",
        ),
    ),
    greeting=Greeting(path=f"/ws/?room={ROOM}", steps=(Step(expect='{"id":0,"subscribed"'),)),
    emitter="benchmarks.peers.ours.emitter:OurEmitter",
    redis=True,
    environment={
        "DJANGO_SETTINGS_MODULE": "benchmarks.peers.ours.settings",
        "DJANGO_DEBUG": "0",
        "DJANGO_SECRET_KEY": "of a benchmark, which signs nothing that matters",
        "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
        "DATABASE_URL": "sqlite://:memory:",
        "LOG_LEVEL": "WARNING",
    },
    versions=(
        *("shardlayer", "channels", "daphne", "twisted", "websockets", "redis", "hiredis"),
        *("django", "orjson"),
    ),
)
