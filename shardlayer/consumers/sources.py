"""Where a consumer's messages come from.

ASGI's `receive` can be waited for only by calling it, and a call that was cancelled may have lost
a message (ASGI promises nothing, and servers differ). So one task per source calls it, again and
again, for as long as the consumer lives: to wait for two of them takes no `asyncio.wait`, and no
task per message. A layer that can tell when a message is there needs no task at all: its
`channel_reader` is a source too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

Message = dict[str, Any]


class Source(Protocol):
    """Hands out messages without waiting, and calls the consumer's `notify` when to look again."""

    def take(self) -> Message | None:
        """Return the next message, or None while there is none. Raises what ended the source."""

    def handled(self) -> bool:
        """Hear that the message that was taken is handled.

        Returns whether the next one may be there after one turn of the event loop.
        """

    def close(self) -> None:
        """Stop; what was not taken is dropped."""

    async def wait_closed(self) -> None:
        """Wait until it has stopped. Raises nothing of its own."""


class Waker:
    """Lets one task wait until somebody calls `wake`.

    An asyncio.Event for one waiter that need not be cleared: a wake-up that nobody waits for is
    forgotten, so its owner looks for work before it waits.
    """

    __slots__ = ("_loop", "_waiter")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()  # asks the system for the process id: not each time
        self._waiter: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """End the wait, if there is one."""
        if self._waiter is not None:
            if not self._waiter.done():
                self._waiter.set_result(None)
            self._waiter = None

    async def wait(self) -> None:
        """Wait for the next `wake`."""
        self._waiter = self._loop.create_future()
        await self._waiter


class TaskSource:
    """The messages of a `receive`, which one task calls for as long as the source is open.

    It is called again only when the message before was handled: what comes meanwhile waits with
    the server or the layer, which may slow the sender down.
    """

    __slots__ = ("_message", "_notify", "_receive", "_task", "_turn")

    def __init__(
        self, receive: Callable[[], Awaitable[Message]], notify: Callable[[], None]
    ) -> None:
        self._receive = receive
        self._notify = notify
        self._message: Message | None = None
        self._turn: asyncio.Future[None] | None = None  # set while a message is being handled
        self._task = asyncio.create_task(self._read(), name="messages for a consumer")
        self._task.add_done_callback(lambda _: notify())

    def take(self) -> Message | None:
        message, self._message = self._message, None
        if message is None and self._task.done():
            self._task.result()
        return message

    def handled(self) -> bool:
        if self._turn is not None:
            self._turn.set_result(None)
            self._turn = None
        return True

    def close(self) -> None:
        self._task.cancel()

    async def wait_closed(self) -> None:
        await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._message = await self._receive()
            self._turn = loop.create_future()
            self._notify()
            await self._turn
