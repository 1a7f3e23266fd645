"""What goes wrong for a client, for people and for programs."""

from __future__ import annotations

from shardlayer.core.exceptions import ShardLayerError


class RoomClientError(ShardLayerError):
    """A command of a client, or its connection, failed.

    Attributes:
        code: One of the server's (docs/protocol.md, "Errors"), or one of the client's own:
            `offline`: not sent, since there was no connection in time.
            `lost`: sent, and the connection went before the reply. It may have been done.
            `timeout`: sent, and no reply came in time. It may have been done.
            `closed`: the client was closed, by its program or by the server for good.
        room: The room that it is about; None if it is about none.
    """

    def __init__(self, code: str, message: str, room: str | None = None) -> None:
        about = f" (room {room})" if room else ""
        super().__init__(f"{code}: {message}{about}")
        self.code = code
        self.room = room
