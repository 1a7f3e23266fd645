"""The rooms of one client: who is asked for when, and what comes of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from shardlayer.aio.tasks import Tasks
from shardlayer.client.client_backoff import backoff_delay
from shardlayer.client.client_error import RoomClientError
from shardlayer.client.room_connection import RoomConnection
from shardlayer.client.room_subscription import RoomSubscription

logger = logging.getLogger(__name__)

# Refusals that may soon be over; those rooms are asked for again. All others are final.
PASSING: Final = frozenset({"rate", "full", "unavailable", "internal"})
FIRST_ATTEMPT: Final = 3  # whose backoff follows the first refusal: up to 4 s, then 8 s, 16 s, 20 s
ROOMS_PER_FRAME = 50  # with a token of 512 characters for each, a frame has less than 64 KiB


class FollowedRooms:
    """Asks for rooms on the present connection, if there is one."""

    def __init__(self) -> None:
        self._rooms: dict[str, RoomSubscription] = {}
        self._connection: RoomConnection | None = None
        self._tasks = Tasks()  # of the connection

    def add(self, subscription: RoomSubscription) -> None:
        """Follow a room from now on.

        Raises:
            ValueError: This client follows it already.
        """
        if subscription.room in self._rooms:
            raise ValueError(f"This client follows {subscription.room} already.")
        self._rooms[subscription.room] = subscription
        self.ask_soon()

    async def leave(self, subscription: RoomSubscription) -> None:
        """Follow a room no more."""
        if self._rooms.get(subscription.room) is not subscription:
            return
        del self._rooms[subscription.room]
        if self._connection is not None:
            try:
                await self._connection.ask({"unsubscribe": {"room": subscription.room}})
            except RoomClientError as error:  # without a connection there is no membership either
                logger.debug("Leaving %s: %s", subscription.room, error)

    async def connected(self, connection: RoomConnection, tasks: Tasks) -> None:
        """Ask for all rooms on a new connection; return when all have an answer.

        Raises:
            RoomClientError: They could not be asked for.
        """
        self._connection, self._tasks = connection, tasks
        await self._ask()

    def disconnected(self) -> None:
        """The connection is gone: what comes from now on has to be merged."""
        self._connection = None
        for subscription in self._rooms.values():
            subscription.lose()

    def end(self, error: RoomClientError | None) -> None:
        """Let all loops end."""
        for subscription in self._rooms.values():
            subscription.end(error)
        self._rooms.clear()

    def ask_soon(self) -> None:
        """Ask for the rooms that need it, in one frame at the end of this turn."""
        if self._connection is not None:
            self._tasks.spawn(self._ask_or_close(self._connection), "shardlayer: a client's rooms")

    def push(self, push: Mapping[str, Any]) -> None:
        """Take a push of a room."""
        subscription = self._rooms.get(push["room"])
        if subscription is None:
            return
        if "unsubscribed" in push:
            self._refused(subscription, push["unsubscribed"]["code"], "The server ended it.")
        elif "reset" in push or "data" in push or "offset" in push:
            subscription.push(push)
            self._ask_if_needed(subscription)

    async def _ask_or_close(self, connection: RoomConnection) -> None:
        try:
            await self._ask()
        except RoomClientError as error:
            # The server is stuck or has not understood: a new connection is the way out of both.
            if connection is self._connection:
                logger.warning("No rooms could be joined: %s", error)
                await connection.socket.close()

    async def _ask(self) -> None:
        connection = self._connection
        asking = [each for each in self._rooms.values() if each.is_asking]
        if connection is None or not asking:
            return
        lists = [
            asking[first : first + ROOMS_PER_FRAME]
            for first in range(0, len(asking), ROOMS_PER_FRAME)
        ]
        requests = [[each.request() for each in part] for part in lists]
        await asyncio.gather(
            *(
                connection.ask(
                    {"subscribe": request},
                    lambda reply, part=part: self._accept(part, reply["subscribed"]),  # type: ignore[misc]
                )
                for part, request in zip(lists, requests, strict=True)
            )
        )

    def _accept(
        self, asked: Iterable[RoomSubscription], replies: Iterable[Mapping[str, Any]]
    ) -> None:
        for subscription, reply in zip(asked, replies, strict=True):
            if self._rooms.get(subscription.room) is not subscription:
                continue  # left meanwhile
            if "error" in reply:
                self._refused(subscription, reply["error"]["code"], reply["error"]["message"])
            else:
                subscription.accept(reply)
                self._ask_if_needed(subscription)

    def _ask_if_needed(self, subscription: RoomSubscription) -> None:
        if subscription.is_asking:
            self.ask_soon()

    def _refused(self, subscription: RoomSubscription, code: str, message: str) -> None:
        error = RoomClientError(code, message, subscription.room)
        if code in PASSING:
            logger.warning("A room can't be joined, and is tried again: %s", error)
            refusals = subscription.refuse_for_now()
            if refusals is not None:
                wait = backoff_delay(FIRST_ATTEMPT + refusals)
                self._tasks.spawn(self._try_again(subscription, wait), "shardlayer: a refused room")
        else:
            del self._rooms[subscription.room]
            subscription.end(error)

    async def _try_again(self, subscription: RoomSubscription, wait: float) -> None:
        await asyncio.sleep(wait)
        subscription.may_ask()
        self.ask_soon()
