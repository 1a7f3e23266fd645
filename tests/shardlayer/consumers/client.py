"""The other ends of a consumer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from channels.layers import InMemoryChannelLayer
from channels.testing import WebsocketCommunicator

from shardlayer.layer import ShardedChannelLayer
from tests.waiting import PATIENCE

Message = dict[str, Any]


class Client(WebsocketCommunicator):  # type: ignore[misc]
    """Channels' communicator, as patient as a busy machine needs."""

    def __init__(self, application: Callable[..., Any], path: str = "/ws/", **kwargs: Any) -> None:
        super().__init__(application, path, **kwargs)

    async def receive_output(self, timeout: float = PATIENCE) -> Message:  # noqa: ASYNC109
        message: Message = await super().receive_output(PATIENCE)
        return message

    async def wait(self, timeout: float = PATIENCE) -> None:  # noqa: ASYNC109
        await super().wait(PATIENCE)


class Server:
    """An ASGI server's `receive` and `send`, which count and remember."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []
        self.receives = 0
        self.cancelled = 0

    async def receive(self) -> Message:
        self.receives += 1
        try:
            return await self.inbox.get()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    def put(self, *texts: str) -> None:
        """Have the client send text frames."""
        for text in texts:
            self.inbox.put_nowait({"type": "websocket.receive", "text": text})

    def run(self, application: Callable[..., Any], **scope: Any) -> asyncio.Task[None]:
        """Run an application for a client that connects."""
        self.inbox.put_nowait({"type": "websocket.connect"})
        scope = {"type": "websocket", "path": "/ws/", **scope}
        return asyncio.create_task(application(scope, self.receive, self.send))


async def members(layer: Any, group: str) -> int:
    """Return how many members of a group the running loop has."""
    if isinstance(layer, ShardedChannelLayer):
        return (await layer.node()).members(group)
    assert isinstance(layer, InMemoryChannelLayer)
    return len(layer.groups.get(group, {}))
