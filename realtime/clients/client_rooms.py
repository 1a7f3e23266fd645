"""The rooms that one client is in: who may come in, how, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from realtime.access.client_permissions import Permissions
from realtime.access.identity import Identity
from realtime.access.users import user_room
from realtime.clients.catchup import CatchUp
from realtime.clients.client_counters import counters
from realtime.clients.client_signals import ToldClient
from realtime.clients.failures import as_protocol_error
from realtime.clients.places import take_place
from realtime.clients.protocol.commands import ErrorCode, ProtocolError, Refused, Wanted
from realtime.clients.queued_sink import ClientSink
from realtime.clients.request_rates import ClientLimits
from realtime.clients.round_robin import turns_of
from realtime.clients.user_limits import Publisher, publisher_of, user_limits
from realtime.conf import conf
from realtime.people.client_presence import ClientPresence
from realtime.people.room_signals import send_room_signal
from realtime.room_tokens import BadRoomToken
from realtime.rooms.room_settings import Action
from shardlayer import PAGE, Joined, Node, Page, ShardedChannelLayer

IS_CLOSING: Final = "The connection is closing; nothing more is done."
UNBOUNDED: Final = 2**31  # rooms; more than anybody names


class ClientRooms:
    """Joins and leaves rooms for one client. The owner must await `end()`.

    Args:
        layer: Whose rooms they are.
        node: Of the running loop.
        sink: The client's.
        identity: Who is on the connection.
        permissions: What that one may.
        limits: What the client may ask for.
        max_text: Bytes of one message that the client's server sends; 0: any amount.
        told: Tells the project which rooms are joined and left; None if nobody listens.
        client: The client's address, as the scope has it: host and port, or None.

    Attributes:
        is_closed: Whether the client is being sent away, so that nothing is done for it any more.
        user_limits: What all connections of its user, or of its address, may do together.
    """

    __slots__ = (
        "_catch_up", "_client", "_conf", "_identity", "_layer", "_limits", "_max_text", "_names",
        "_node", "_permissions", "_presence", "_sink", "_told",
        "is_closed", "turns", "user_limits",
    )  # fmt: skip

    def __init__(
        self,
        layer: ShardedChannelLayer,
        node: Node,
        sink: ClientSink,
        identity: Identity,
        permissions: Permissions,
        limits: ClientLimits,
        max_text: int,
        told: ToldClient | None = None,
        client: Sequence[Any] | None = None,
    ) -> None:
        self._layer = layer
        self._node = node
        self._sink = sink
        self._identity = identity
        self._permissions = permissions
        self._limits = limits
        self._max_text = max_text
        self._conf = conf()
        self._told = told
        self._client = client
        self.user_limits = user_limits(self._conf)
        self._names: set[str] = set()
        permissions.members = self._names
        self._catch_up: CatchUp | None = None  # made for the first room that is behind
        self._presence: ClientPresence | None = None  # made for the first room that knows people
        self.is_closed = False
        self.turns = turns_of(node, self._conf.join_concurrency)

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __contains__(self, room: str) -> bool:
        return room in self._names

    async def require(self, action: Action, room: str, token: str | None = None) -> None:
        """Raise ProtocolError if the client may not."""
        code: ErrorCode = "forbidden"
        why = f"You may not {action} to {room}."
        try:
            is_member = room in self._names
            if await self._permissions.allows(action, room, token, is_member=is_member):
                self.require_open()
                return
        except BadRoomToken as error:
            code, why = "bad_token", str(error)
        counters.forbidden += 1
        raise ProtocolError(code, why)

    def require_open(self) -> None:
        """Raise ProtocolError if the client is being sent away: it may have been signed out."""
        if self.is_closed:
            raise ProtocolError("forbidden", IS_CLOSING)

    async def require_membership(
        self, room: str, token: str | None, put_out: Callable[[str], object]
    ) -> None:
        """Raise ProtocolError if the client may not be in a room; `put_out` ends its membership."""
        try:
            await self.require("subscribe", room, token)
        except ProtocolError:
            if room in self._names:
                put_out(room)
            raise

    def admitted(self, items: Sequence[Wanted | Refused]) -> Sequence[Wanted | Refused]:
        """Return the rooms that may be asked for; refused are those past the client's limits."""
        admitted = []
        free = (self._conf.max_rooms_per_client or UNBOUNDED) - len(self._names)
        for item in items:
            if isinstance(item, Wanted) and item.room not in self._names:
                if free > 0 and self._limits.take_new_room():
                    free -= 1
                else:
                    item = Refused(room=item.room, error=self._refusal(free))
            admitted.append(item)
        return admitted

    async def join_all(self, items: Sequence[Wanted | Refused]) -> list[Joined | ProtocolError]:
        """Join rooms and return in their order what to tell the client of each.

        What is pushed in a room waits until `release`.
        """
        turns = self.turns
        if len(items) == 1 and turns.is_free:  # most frames
            (item,) = items
            turn = turns.begin()
            try:
                return [item.error if isinstance(item, Refused) else await self._join(item, 1)]
            finally:
                turns.end(turn)
        # At the same time: their shards answer independently.
        works = [
            partial(self._join, item, len(items)) for item in items if isinstance(item, Wanted)
        ]
        joins = iter(await turns.run_all(works))
        return [
            self._unless_put_out(item.room, next(joins)) if isinstance(item, Wanted) else item.error
            for item in items
        ]

    def _unless_put_out(self, room: str, outcome: Joined | ProtocolError) -> Joined | ProtocolError:
        """Return what to tell of a room: the client may have left while others were joined."""
        if room in self._names or isinstance(outcome, ProtocolError):
            return outcome
        return put_out_meanwhile(room)

    def release(self, joined: Joined) -> None:
        """Let a room's pushes through; first what the answer had no place for."""
        if not joined.is_behind:
            joined.release()
            return
        if self._catch_up is None:
            self._catch_up = CatchUp(self._node, self._sink, self._max_text)
        self._catch_up.add(joined)

    def leave(self, room: str) -> None:
        """Leave a room, in it or not."""
        if room in self._names:
            self._names.remove(room)
            self.user_limits.rooms.leave(room)
        if self._catch_up is not None:
            self._catch_up.drop(room)
        if self._presence is not None:
            self._presence.go(room)
        self._node.leave(room, self._sink)
        if self._told is not None:
            self._told.left(room)

    async def sign_in(self) -> None:
        """Be seen in the rooms as who is on the connection now."""
        if self._presence is not None:
            await self._presence.sign_in()

    async def end(self) -> None:
        """Leave every room."""
        for room in self._names:
            self._node.leave(room, self._sink)
            self.user_limits.rooms.leave(room)
        self._names.clear()
        if self._presence is not None:
            self._presence.end()
        if self._catch_up is not None:
            await self._catch_up.aclose()

    def max_answer(self) -> int:
        """Return how many bytes of publications an answer has at most; 0: any amount."""
        most = self._conf.max_client_answer
        # Half of what the server sends is left for what stands around the data.
        return min(most or self._max_text // 2, self._max_text // 2) if self._max_text else most

    def too_many_new(self) -> ProtocolError:
        """Count that the client takes on too many new rooms, and return what it is told."""
        counters.rooms_refused += 1
        most = self._conf.max_client_new_rooms
        return ProtocolError("rate", f"A client may use {most:g} new rooms a second at most.")

    def _refusal(self, free: int) -> ProtocolError:
        """Return why one room more can't be asked for; there is place for `free`."""
        if free <= 0:
            counters.rooms_over_limit += 1
            most = self._conf.max_rooms_per_client
            return ProtocolError("limit", f"A client may be in {most} rooms at most.")
        return self.too_many_new()

    def _page(self, rooms: int) -> Page:
        """Return what one room of so many may have of an answer."""
        most = self.max_answer()
        return Page(most // rooms, least=0) if most else PAGE

    async def _join(self, item: Wanted, rooms: int) -> Joined | ProtocolError:
        """Join a room and return what to tell the client; a room's failure stays its own."""
        is_new = item.room not in self._names
        payer: Publisher | None = None
        try:
            # Who is put out is told so by the answer.
            await self.require_membership(item.room, item.token, self.leave)
            if item.room not in self._names:
                payer = self._take_place(item.room)
            return await self._enter(item, PAGE if item.since is None else self._page(rooms))
        except Exception as error:
            if is_new:
                self._limits.give_back_new_room()  # who tries again while Redis is away may
            self.user_limits.give_back_new_room(payer)
            return as_protocol_error(error).with_traceback(None)  # it stays for a while

    def _take_place(self, room: str) -> Publisher | None:
        """Have the client be in a room from here on, so that `end` leaves it whatever happens.

        Returns who has paid for a new room; None if nobody has.

        Raises:
            ProtocolError: There is no place.
        """
        payer = take_place(self._node, self.user_limits, room, self._counted_as, self._conf)
        self._permissions.enter(room)
        self._names.add(room)
        return payer

    def _counted_as(self) -> Publisher | None:
        identity = self._identity
        if identity.known_user is None and identity.bearer is not None:
            return user_room(identity.bearer)  # a room's token has named the user
        return publisher_of(identity.known_user, self._client)

    async def _enter(self, item: Wanted, page: Page) -> Joined:
        if self._catch_up is not None:
            self._catch_up.drop(item.room)
        try:
            joined = await self._node.join(item.room, self._sink, item.since, page)
            self.require_open()  # nobody sees somebody come who was signed out
        except Exception:
            self.leave(item.room)
            raise
        if item.since is not None:
            counters.recovered += joined.recovered
            counters.not_recovered += not joined.recovered
        mode = self._permissions.presence_of(item.room)
        if mode != "off":
            await self._be_seen(item.room, told=mode == "told")
        if item.room not in self._names:  # put out meanwhile, and told so
            if self._presence is not None:
                self._presence.go(item.room)
            raise put_out_meanwhile(item.room)
        if self._told is not None:
            self._told.joined(item.room)
        return joined

    async def _be_seen(self, room: str, *, told: bool) -> None:
        if self._presence is None:
            self._layer.room_watchers.add(send_room_signal)
            self._presence = ClientPresence(self._identity, self._node)
        await self._presence.come(room, told=told)


def put_out_meanwhile(room: str) -> ProtocolError:
    """Return what a client is told of a room that it was put out of while it joined it."""
    return ProtocolError("forbidden", f"You may not subscribe to {room}.")
