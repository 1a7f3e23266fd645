"""How a client that reads too slowly is closed.

The sink says when: more waits for the client than `--client-buffer-limit` allows (sink.py). What
waits is dropped, and the client gets a close frame in its place. It may come back and resume from
its offset. On other servers the application's own sink does the same.
"""

from __future__ import annotations

from websockets.server import ServerProtocol

from shardlayer.core.close_codes import CLOSE_SLOW
from shardlayer.server.server_counters import counters

REASON = "slow consumer"
SLOW_CLOSE_TIMEOUT = 5.0  # seconds for a slow client to take that close frame and answer it


def close_frame(frames: ServerProtocol) -> bytes:
    """Return the bytes that close a slow client's connection, and count it."""
    counters.slow_closed += 1
    frames.send_close(CLOSE_SLOW, REASON)
    return b"".join(frames.data_to_send())
