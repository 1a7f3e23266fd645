"""One client's rooms, and what its commands do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from realtime.access import Action, access
from realtime.auth import Identity
from realtime.conf import conf
from realtime.history import read_history
from realtime.layers import sharded_layer
from realtime.protocol import replies
from realtime.protocol.commands import (
    Command,
    Connect,
    History,
    Ping,
    ProtocolError,
    Publish,
    Refused,
    Subscribe,
    Unsubscribe,
    Wanted,
)
from realtime.protocol.parsing import parse
from realtime.tokens import BadToken, user_of
from realtime.users import is_user_room, user_room
from shardlayer import (
    Broadcast,
    Joined,
    MessageTooLarge,
    Node,
    ShardedChannelLayer,
    ShardUnavailable,
    Sink,
)

logger = logging.getLogger(__name__)

# Before clients' keys, so that none is taken for that of a program which publishes to the room.
_CLIENT_KEY: Final = "client:"


class ClientSession:
    """Does a client's commands, one after another, and answers each through its sink.

    A command that fails is answered with an error and changes nothing else. Made by `begin`; the
    owner must call `end()`.
    """

    __slots__ = ("_access", "_conf", "_identity", "_layer", "_node", "_rooms", "_sink")

    def __init__(
        self, scope: Mapping[str, Any], sink: Sink, layer: ShardedChannelLayer, node: Node
    ) -> None:
        self._sink = sink
        self._conf = conf()
        self._access = access()
        self._identity = Identity(scope)
        self._layer = layer
        self._node = node
        self._rooms: set[str] = set()
        node.attend(sink)

    @classmethod
    async def begin(cls, scope: Mapping[str, Any], sink: Sink) -> ClientSession:
        """Return a session in no room; what is announced reaches its client from here on."""
        layer = sharded_layer()
        return cls(scope, sink, layer, await layer.node())

    async def handle(self, text: str) -> None:
        """Do the command in a text frame."""
        try:
            command = parse(text, limit=self._conf.max_client_message)
        except ProtocolError as error:
            self._write(replies.error(error))
        else:
            await self.do(command)

    async def do(self, command: Command) -> None:
        """Do a command and write its answer."""
        try:
            await _HANDLERS[type(command)](self, command)
        except Exception as error:
            failure = _as_protocol_error(error)
            failure.id = command.id
            self._write(replies.error(failure))

    def end(self) -> None:
        """Leave every room, and hear no announcement any more."""
        self._node.depart(self._sink)
        for room in self._rooms:
            self._node.leave(room, self._sink)
        self._rooms.clear()

    async def _connect(self, command: Connect) -> None:
        if command.token is not None:
            try:
                self._identity.sign_in(await user_of(command.token))
            except BadToken as error:
                raise ProtocolError("bad_token", str(error)) from error
        name = await self._identity.name()
        room = None if name is None else user_room(await self._identity.user())
        for known in [known for known in self._rooms if known != room and is_user_room(known)]:
            self._leave(known)  # of whoever was signed in before
        self._write(replies.connected(command.id, node=self._node.id, user=name, room=room))

    async def _subscribe(self, command: Subscribe) -> None:
        if len(command.rooms) == 1:
            outcomes = [await self._join(command.rooms[0])]
        else:  # at the same time: their shards answer independently
            outcomes = await asyncio.gather(*map(self._join, command.rooms))
        if not command.many and isinstance(outcomes[0], ProtocolError):
            raise outcomes[0]
        items = [
            replies.refused_item(item.room, outcome)
            if isinstance(outcome, ProtocolError)
            else replies.subscribed_item(outcome)
            for item, outcome in zip(command.rooms, outcomes, strict=True)
        ]
        self._write(replies.subscribed(command, items))
        for outcome in outcomes:
            if not isinstance(outcome, ProtocolError):
                outcome.release()  # what was published since follows the answer

    async def _join(self, item: Wanted | Refused) -> Joined | ProtocolError:
        """Join a room and return what to tell the client; a room's failure stays its own."""
        if isinstance(item, Refused):
            return item.error
        try:
            await self._allow("subscribe", item.room)
            return await self._enter(item)
        except Exception as error:
            return _as_protocol_error(error)

    async def _enter(self, item: Wanted) -> Joined:
        known = item.room in self._rooms
        if not known and len(self._rooms) >= self._conf.max_rooms_per_client:
            raise ProtocolError(
                "limit", f"A client has at most {self._conf.max_rooms_per_client} rooms."
            )
        self._rooms.add(item.room)  # before the await, so that `end` leaves it whatever happens
        try:
            return await self._node.join(item.room, self._sink, item.since)
        except Exception:
            self._leave(item.room)
            raise

    async def _unsubscribe(self, command: Unsubscribe) -> None:
        if command.room not in self._rooms:
            raise ProtocolError("not_subscribed", f"Not subscribed to {command.room}.")
        self._leave(command.room)
        self._write(replies.unsubscribed(command.id, room=command.room))

    async def _publish(self, command: Publish) -> None:
        await self._allow("publish", command.room)
        key = command.key and f"{_CLIENT_KEY}{command.key}"
        position = await self._layer.publish(command.room, command.data, idempotency_key=key)
        self._write(replies.published(command.id, room=command.room, position=position))

    async def _history(self, command: History) -> None:
        await self._allow("subscribe", command.room)
        most = self._conf.max_client_history
        position, publications = await read_history(
            self._layer, command.room, limit=min(command.limit or most, most)
        )
        self._write(
            replies.history(
                command.id, room=command.room, position=position, publications=publications
            )
        )

    async def _ping(self, command: Ping) -> None:
        self._write(replies.pong(command.id))

    async def _allow(self, action: Action, room: str) -> None:
        if not await self._access.allows(self._identity, action, room):
            raise ProtocolError("forbidden", f"You may not {action} to {room}.")

    def _leave(self, room: str) -> None:
        self._rooms.discard(room)
        self._node.leave(room, self._sink)

    def _write(self, reply: bytes) -> None:
        self._sink.write(Broadcast([reply]))


_HANDLERS: Final[dict[type[Command], Any]] = {
    Connect: ClientSession._connect,
    Subscribe: ClientSession._subscribe,
    Unsubscribe: ClientSession._unsubscribe,
    Publish: ClientSession._publish,
    History: ClientSession._history,
    Ping: ClientSession._ping,
}


def _as_protocol_error(error: Exception) -> ProtocolError:
    """Return what a client is told of `error`; what nobody expected goes to the log."""
    match error:
        case ProtocolError():
            return error
        case ShardUnavailable():  # its text names a server, which is no client's business
            return ProtocolError("unavailable", f"Shard {error.shard} does not answer; try again.")
        case MessageTooLarge():
            return ProtocolError("too_large", str(error))
        case _:
            logger.error("A client's command failed.", exc_info=error)
            return ProtocolError("internal", "The server failed; the command was not done.")
