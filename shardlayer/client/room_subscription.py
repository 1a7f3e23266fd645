"""A room's messages as an async iterator, with a queue that never grows beyond its limit."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

from shardlayer.client.client_error import RoomClientError
from shardlayer.client.followed_room import FollowedRoom, Following, RoomGap, RoomMessage, Step

logger = logging.getLogger(__name__)

OnGap = Callable[[RoomGap], Awaitable[object] | object]


def log_gap(gap: RoomGap) -> None:
    """Tell the log of a gap."""
    logger.warning("%s: publications are missing: %s", gap.room, gap)


class RoomSubscription:
    """Yields a room's messages, each once and in the order of their offsets.

    When `max_waiting` messages wait for the loop, nothing more is put behind them. Once the loop
    has taken them all, the client asks the server for what came since. So a slow loop costs no
    memory, other rooms are not held up, and nothing is missed that the room's history still holds.

    It is also an async context manager, which leaves the room at its end.
    `RoomClient.subscribe` makes it.

    Attributes:
        room: The name of the room.
        position: The position of the last message that the loop took. A later
            `subscribe(room, since=position)` continues from there. None without history, and before
            the server has answered.
    """

    def __init__(
        self,
        followed: FollowedRoom,
        *,
        token: str | None,
        max_waiting: int,
        on_gap: OnGap,
        ask: Callable[[], None],
        leave: Callable[[RoomSubscription], Awaitable[None]],
    ) -> None:
        self.room = followed.name
        self.position = followed.position
        self._followed = followed
        self._token = token
        self._max_waiting = max_waiting
        self._on_gap = on_gap
        self._ask = ask
        self._leave = leave
        self._waiting: deque[Step] = deque()
        self._is_behind = False  # the loop has to catch up before the server is asked
        self._is_refused = False  # for now
        # In a row, until the room is joined. A new connection asks for all rooms anyway, and ends
        # no row: else clients that lose theirs again and again would storm a full room.
        self._refusals = 0
        self._is_over = False
        self._error: RoomClientError | None = None
        self._was_joined = asyncio.Event()  # or it is over
        self._news = asyncio.Event()

    async def joined(self) -> None:
        """Return once the server has let the client into the room.

        Raises:
            RoomClientError: It is refused for good, or the client is closed.
        """
        await self._was_joined.wait()
        if self._error is not None:
            raise self._error

    async def leave(self) -> None:
        """Leave the room; the loop over it ends. A second time does nothing."""
        if not self._is_over:
            self.end(None)
            self._waiting.clear()
            await self._leave(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.leave()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RoomMessage:
        """Return the next message; one caller at a time.

        Raises:
            RoomClientError: The room is refused for good, or the client is closed by the server.
            StopAsyncIteration: The room was left, or the client closed by its program.
        """
        while True:
            while not self._waiting:
                if self._error is not None:
                    raise self._error
                if self._is_over:
                    raise StopAsyncIteration
                if self._is_behind:
                    self._is_behind = False
                    self._ask()
                self._news.clear()
                await self._news.wait()
            step, self.position = self._waiting.popleft()
            if isinstance(step, RoomMessage):
                return step
            told = self._on_gap(step)
            if inspect.isawaitable(told):
                await told

    # What follows is for the client.

    @property
    def is_asking(self) -> bool:
        """Whether the server has to be asked now."""
        waits = self._is_behind or self._is_refused or self._is_over
        return self._followed.state is Following.AWAY and not waits

    def request(self) -> dict[str, Any]:
        """Return what to ask the server for."""
        return self._followed.ask() | ({} if self._token is None else {"token": self._token})

    def lose(self) -> None:
        """Take note that the connection is gone."""
        self._is_refused = False
        self._followed.leave_off()

    def refuse_for_now(self) -> int | None:
        """Take note that the client is not in the room, until `may_ask`.

        Returns:
            How often it was refused before, since it was joined. None: it waits already.
        """
        self._followed.leave_off()
        if self._is_refused:
            return None
        self._is_refused = True
        self._refusals += 1
        return self._refusals - 1

    def may_ask(self) -> None:
        """The room may be asked for again."""
        self._is_refused = False

    def accept(self, reply: Mapping[str, Any]) -> None:
        """Take the reply, all of it: it has a limit of its own."""
        self._refusals = 0
        self._put(self._followed.accept(reply))
        if not self._waiting:
            self.position = self._followed.position
        self._was_joined.set()

    def push(self, push: Mapping[str, Any]) -> None:
        """Take a push, unless too much waits."""
        if self._followed.state is Following.JOINED and len(self._waiting) >= self._max_waiting:
            self._is_behind = True
            self._followed.leave_off()
        elif "reset" in push:
            self._put(self._followed.reset(push["reset"]))
        else:
            self._put(self._followed.push(push))

    def end(self, error: RoomClientError | None) -> None:
        """Let the loop end, once it has taken what waits."""
        if not self._is_over:
            self._is_over, self._error = True, error
            self._was_joined.set()
            self._news.set()

    def _put(self, steps: list[Step]) -> None:
        self._waiting.extend(steps)
        if steps:
            self._news.set()
