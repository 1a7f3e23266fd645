"""How python-socketio is started."""

from __future__ import annotations

import sys

from benchmarks.greeting import Greeting, Step
from benchmarks.peers.base import Peer

SOCKETIO = Peer(
    name="socketio",
    title="python-socketio, uvicorn",
    what="python-socketio's AsyncServer with AsyncRedisManager on uvicorn, WebSocket transport.",
    command=(
        *(sys.executable, "-m", "uvicorn", "--log-level", "warning", "--no-access-log"),
        *("--loop", "asyncio"),  # as the others have, whatever else is installed
        *("--host", "127.0.0.1", "--port", "{port}"),
        "benchmarks.peers.socketio.app:application",
    ),
    # Engine.IO's open packet, then Socket.IO's CONNECT and its answer; the ping is Engine.IO's.
    greeting=Greeting(
        path="/socket.io/?EIO=4&transport=websocket",
        steps=(Step(expect="0{", reply="40"), Step(expect="40{")),
        answers={"2": "3"},
    ),
    emitter="benchmarks.peers.socketio.emitter:SocketIoEmitter",
    redis=True,
    steady_rate=2.0,
    versions=("python-socketio", "python-engineio", "uvicorn", "websockets", "redis"),
)
