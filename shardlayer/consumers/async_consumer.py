"""The loop that hands a consumer its messages, one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from channels import consumer
from channels.consumer import get_handler_name
from channels.exceptions import StopConsumer
from channels.layers import get_channel_layer

from shardlayer.consumers.database import a_connection_is_due, aclose_old_connections
from shardlayer.consumers.sources import Source, TaskSource, Waker

BURST = 64  # rounds of waiting messages before the event loop gets its turn

Message = dict[str, Any]


class AsyncConsumer(consumer.AsyncConsumer):  # type: ignore[misc]
    """Channels' AsyncConsumer with one receive loop.

    Messages of the client and of the channel are handled one at a time and take turns, the
    client's first; each kind in its own order. The next message of the client is asked for only
    once the one before was handled. An exception of a handler ends the consumer and is raised
    from it; StopConsumer ends it in silence; cancelling it cancels the handler that runs.
    """

    # The thread that synchronous code of this consumer runs in, once it is known.
    _database_thread: int | None = None

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Run as an ASGI application until a handler raises, StopConsumer included."""
        self.scope = scope
        self.base_send = send
        waker = Waker()
        channels: tuple[Source, ...] = ()
        self.channel_layer = get_channel_layer(self.channel_layer_alias)
        if self.channel_layer is not None:
            self.channel_name = await self.channel_layer.new_channel()
            self.channel_receive = partial(self.channel_layer.receive, self.channel_name)
            channels = (await self._open_channel(waker),)
        sources = (TaskSource(receive, waker.wake), *channels)
        try:
            await self._handle_all(sources, waker)
        except StopConsumer:
            pass
        finally:
            for source in sources:
                source.close()
            for source in sources:
                await source.wait_closed()

    async def dispatch(self, message: Message) -> None:
        """Call the handler that the message's type names.

        Raises:
            ValueError: If the type is missing, begins with an underscore or has no handler.
        """
        handler = getattr(self, get_handler_name(message), None)
        if not handler:
            raise ValueError(f"No handler for message type {message['type']}")
        if a_connection_is_due(self._database_thread):
            await self._close_old_connections()
        await handler(message)

    async def _open_channel(self, waker: Waker) -> Source:
        # Asked for by its name: this works with any layer, and imports none.
        open_reader = getattr(self.channel_layer, "channel_reader", None)
        if open_reader is None:
            return TaskSource(self.channel_receive, waker.wake)
        reader: Source = await open_reader(self.channel_name, waker.wake)
        return reader

    async def _handle_all(self, sources: tuple[Source, ...], waker: Waker) -> None:
        rounds = 0
        while True:
            idle, pause = True, False
            for source in sources:
                message = source.take()
                if message is not None:
                    idle = False
                    await self.dispatch(message)
                    pause |= source.handled()
            if idle:
                rounds = 0
                await waker.wait()
                continue
            rounds += 1
            # The client's next message may wait for its turn; and so may everyone else, if no
            # handler ever waits.
            if pause or rounds % BURST == 0:
                await asyncio.sleep(0)

    async def _close_old_connections(self) -> None:
        self._database_thread = await aclose_old_connections()
