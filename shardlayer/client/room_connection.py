"""One WebSocket of a client: commands and their replies. A client has one after another."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from itertools import count
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from shardlayer.aio.loop_delay import stall_tolerant_timeout
from shardlayer.client.client_error import RoomClientError

logger = logging.getLogger(__name__)

MESSAGE_LIMIT: Final = 64 * 1024  # bytes of UTF-8

Reply = dict[str, Any]


class RoomConnection:
    """Sends commands, and tells replies from pushes.

    Args:
        socket: An open one. Whoever reads it gives each frame to `take`.
        reply_timeout: How long a reply may take, in seconds.
    """

    def __init__(self, socket: ClientConnection, reply_timeout: float) -> None:
        self.socket = socket
        self._reply_timeout = reply_timeout
        self._ids = count(1)
        self._awaited: dict[int, tuple[asyncio.Future[Reply], Callable[[Reply], None] | None]] = {}
        self._end: RoomClientError | None = None

    @property
    def is_open(self) -> bool:
        """Whether a command can be sent. What came before the end is read all the same."""
        return self._end is None and self.socket.state is State.OPEN

    async def ask(
        self, command: dict[str, Any], on_reply: Callable[[Reply], None] | None = None
    ) -> Reply:
        """Send a command and return its reply.

        Args:
            command: `{"publish": {…}}`; the id is put in here.
            on_reply: Called with the reply before the next frame is looked at.

        Raises:
            RoomClientError: The server refused it; or `too_large`, `lost`, `timeout`, `closed`.
        """
        number = next(self._ids)
        frame = json.dumps({"id": number, **command}, ensure_ascii=False, separators=(",", ":"))
        if len(frame.encode()) > MESSAGE_LIMIT:
            raise RoomClientError(
                "too_large", f"The message is larger than {MESSAGE_LIMIT // 1024} KiB."
            )
        if self._end is not None:
            raise self._end
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._awaited[number] = (future, on_reply)
        try:
            async with stall_tolerant_timeout(self._reply_timeout):
                await self.socket.send(frame)
                return await future
        except TimeoutError:
            raise RoomClientError(
                "timeout", "No reply came in time. The command may have been done."
            ) from None
        except ConnectionClosed:
            raise self._end or _lost("The connection was lost.") from None
        finally:
            del self._awaited[number]
            if future.done() and not future.cancelled():
                future.exception()  # looked at, so that asyncio does not complain

    def take(self, frame: str | bytes) -> dict[str, Any] | None:
        """Settle a command's reply; return any other message."""
        try:
            message = json.loads(frame)
        except (ValueError, RecursionError):  # the latter: nested too deep
            message = None
        if not isinstance(message, dict):
            logger.warning("The server sent something that is not a JSON object.")
            return None
        if not message.get("id"):
            return message
        future, on_reply = self._awaited.get(message["id"], (None, None))
        if future is None or future.done():
            return None  # it came too late
        if "error" in message:
            error = message["error"]
            future.set_exception(RoomClientError(error["code"], error["message"]))
            return None
        if on_reply is not None:
            on_reply(message)
        future.set_result(message)
        return None

    def fail(self, error: RoomClientError | None = None) -> None:
        """Have all commands without a reply fail: the connection is gone."""
        self._end = error or _lost("The connection was lost.")
        for future, _ in self._awaited.values():
            if not future.done():
                future.set_exception(self._end)


def _lost(reason: str) -> RoomClientError:
    return RoomClientError("lost", f"{reason} It may be done.")
