"""A client of a server's rooms: it comes back by itself, and resumes its rooms."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

from shardlayer.aio.tasks import Tasks
from shardlayer.client.client_error import RoomClientError
from shardlayer.client.connection_keeper import ConnectionKeeper, Token
from shardlayer.client.followed_room import FollowedRoom, RoomMessage
from shardlayer.client.followed_rooms import FollowedRooms
from shardlayer.client.room_subscription import OnGap, RoomSubscription, log_gap
from shardlayer.client.sending_again import send_until_taken
from shardlayer.core.types import Position

logger = logging.getLogger(__name__)

MAX_WAITING = 1_000  # messages that wait for a room's loop
REPLY_TIMEOUT = 10.0  # seconds
ASK_AGAIN_PAUSE: Final = 0.05  # seconds after a connection was lost over a command


class RoomClient:
    """Follows rooms, publishes and asks; connected within its `async with` block.

    All of it belongs to one event loop. Entering the block does not wait for the connection: a
    command waits for it, up to `timeout`, and a subscription as long as it takes.

    Args:
        url: Of the server's WebSocket: `wss://example.org/ws/`.
        token: Signs in; or a function, or an async function, that returns one. A function is
            called whenever a token is needed, so that it can return a new one.
        headers: Sent with the handshake, such as `{"Cookie": "sessionid=…"}`.
        cookies: The same for single cookies, by name.
        origin: The `Origin` to send; by default the server's own, which lets it in.
        timeout: How long a command waits for a connection, and then for its reply, in seconds.
            Commands that only read are sent again for as long after a connection was lost.
        on_announcement: Called with each announcement.
        connect_options: More for `websockets.connect`, such as `ssl` or `proxy`.

    Raises:
        ValueError: The address is not one of a WebSocket.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        origin: str | None = None,
        timeout: float = REPLY_TIMEOUT,
        on_announcement: Callable[[Any], object] | None = None,
        connect_options: Mapping[str, Any] | None = None,
    ) -> None:
        scheme, separator, rest = url.partition("://")
        if scheme not in ("ws", "wss") or not separator or not rest:
            raise ValueError(
                f"{url!r} is not the address of a WebSocket, which begins with ws:// or wss://."
            )
        sent = dict(headers or {})
        if cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self._timeout = timeout
        self._rooms = FollowedRooms()
        self._tasks = Tasks()
        self._on_announcement = on_announcement
        self._keeper = ConnectionKeeper(
            url,
            rooms=self._rooms,
            token=token,
            reply_timeout=timeout,
            on_announcement=self._announce,
            options={
                "origin": origin or f"{scheme.replace('ws', 'http')}://{rest.partition('/')[0]}",
                "additional_headers": sent,
                **(connect_options or {}),
            },
        )

    async def __aenter__(self) -> Self:
        self._tasks.supervise(self._keeper.run, "shardlayer: a room client")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Leave all rooms and the server; loops over rooms end. A second time does nothing."""
        await self._keeper.close()
        await self._tasks.aclose()

    async def connected(self) -> None:
        """Return once there is a connection that is signed in.

        Raises:
            RoomClientError: The client is closed, by the server for good or by its program.
        """
        await self._keeper.connection()

    def subscribe(
        self,
        room: str,
        *,
        since: Position | None = None,
        token: str | None = None,
        max_waiting: int = MAX_WAITING,
        on_gap: OnGap = log_gap,
    ) -> RoomSubscription:
        """Follow a room; loop over what is returned: `async for message in …`.

        Args:
            room: Its name.
            since: A position to go on from. `BEGINNING` is all that the room still holds, None
                is from now on.
            token: Opens the room, as its server signed it.
            max_waiting: How many messages may wait for the loop, at least 1.
            on_gap: Called, or awaited, by the loop where publications are missing. By default the
                log is told.

        Raises:
            RoomClientError: The client is closed.
            ValueError: This client follows the room already, or `max_waiting` is below 1.
        """
        if max_waiting < 1:
            raise ValueError("max_waiting must be at least 1.")
        self._keeper.check()
        subscription = RoomSubscription(
            FollowedRoom(room, since, most_held=max_waiting),
            token=token,
            max_waiting=max_waiting,
            on_gap=on_gap,
            ask=self._rooms.ask_soon,
            leave=self._rooms.leave,
        )
        self._rooms.add(subscription)
        return subscription

    async def publish(
        self, room: str, data: Any, *, key: str | None = None, retry_for: float = 0.0
    ) -> Position | None:
        """Publish to a room.

        Args:
            room: Its name.
            data: Anything that JSON can say.
            key: Names this publication, 1 to 64 characters. What is published again under the
                same key within five minutes is published once.
            retry_for: Try again for so many seconds where that may help, under one key.

        Returns:
            Its position; None in a room that keeps no history.

        Raises:
            RoomClientError: It failed. After `lost` and `timeout` it may be published all the same.
            ValueError: `retry_for` is above 240 s.
        """
        if key is None and retry_for > 0:
            key = secrets.token_hex(16)
        command = {"room": room, "data": data} | ({} if key is None else {"key": key})

        async def send() -> dict[str, Any]:
            connection = await self._keeper.connection(self._timeout)
            return await connection.ask({"publish": command})

        published = (await send_until_taken(send, retry_for))["published"]
        return Position(published["offset"], published["epoch"]) if "offset" in published else None

    async def history(
        self,
        room: str,
        *,
        limit: int | None = None,
        before: int | None = None,
        token: str | None = None,
    ) -> tuple[list[RoomMessage], Position | None]:
        """Read a room's newest publications without following it.

        Args:
            room: Its name.
            limit: At most so many; the server has a limit of its own.
            before: Those before this offset.
            token: Opens the room.

        Returns:
            The messages, oldest first, and the position behind the newest of the room.
            Subscribing from it misses nothing. It is None in a room that keeps no history.

        Raises:
            RoomClientError: It failed.
        """
        asked = _about(room, limit=limit, before=before, token=token)
        first = answer = (await self._ask({"history": asked}))["history"]
        found: list[dict[str, Any]] = answer["publications"]
        while answer.get("more") and answer["publications"]:  # it did not fit into one answer
            rest = {"limit": answer["more"], "before": found[0]["offset"]}
            answer = (await self._ask({"history": asked | rest}))["history"]
            if answer.get("epoch") != first.get("epoch"):
                break  # the room was begun anew, and this is of another count
            found = answer["publications"] + found
        messages = [
            RoomMessage(room=room, data=each["data"], offset=each["offset"], replayed=True)
            for each in found
        ]
        return messages, Position(first["offset"], first["epoch"]) if "offset" in first else None

    async def presence(
        self, room: str, *, limit: int | None = None, after: str | None = None
    ) -> dict[str, Any]:
        """Return how many people are in a room, and who: see docs/protocol.md, "presence".

        Args:
            room: Its name.
            limit: Name at most so many; the server has a limit of its own.
            after: Name those behind this person.

        Raises:
            RoomClientError: It failed.
        """
        asked = _about(room, limit=limit, after=after)
        page: dict[str, Any] = (await self._ask({"presence": asked}))["presence"]
        return page

    async def identity(self) -> dict[str, Any]:
        """Return who the server takes this client for: `user` and `room`, null for nobody.

        Raises:
            RoomClientError: It failed.
        """
        connected: dict[str, Any] = (await self._ask({"connect": {}}))["connected"]
        return connected

    async def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Send a command that changes nothing, again if the connection was lost over it.

        It is sent again until the client's timeout has passed since the first loss.
        """
        ends = math.inf
        while True:
            connection = await self._keeper.connection(self._timeout)
            try:
                return await connection.ask(command)
            except RoomClientError as error:
                ends = min(ends, time.monotonic() + self._timeout)
                if error.code != "lost" or time.monotonic() >= ends:
                    raise
            await asyncio.sleep(ASK_AGAIN_PAUSE)  # whatever comes, other tasks have their turn

    def _announce(self, data: Any) -> None:
        if self._on_announcement is not None:
            try:
                self._on_announcement(data)
            except Exception:
                logger.exception("on_announcement failed.")


def _about(room: str, **given: Any) -> dict[str, Any]:
    """Return what is asked about a room: of what may be given, what is."""
    return {"room": room} | {key: value for key, value in given.items() if value is not None}
