"""One client's rooms, and what its commands do."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from django.contrib.auth.models import AnonymousUser

from realtime.access.identity import Identity, User, name_of
from realtime.access.notes import write_note
from realtime.access.permissions import Permissions
from realtime.access.users import is_user_room, user_room
from realtime.clients.asgi_sink import ClientSink
from realtime.clients.catchup import CatchUp
from realtime.clients.client_counters import counters
from realtime.clients.limits import ClientLimits, buckets_of
from realtime.clients.newcomers import newcomers_of
from realtime.clients.places import check_place
from realtime.clients.protocol import replies
from realtime.clients.protocol.commands import (
    CLOSE_RATE,
    CLOSE_UNUSED,
    CLOSE_USER,
    AskPresence,
    Command,
    Connect,
    History,
    Note,
    Ping,
    ProtocolError,
    Publish,
    Refused,
    Subscribe,
    Unsubscribe,
    Wanted,
)
from realtime.clients.protocol.parsing import parse, subscribe_to
from realtime.clients.round_robin import turns_of
from realtime.clients.shared_limits import UserShare, shared_limits
from realtime.clients.sign_in import SignIn
from realtime.clients.sign_in_watch import watch_of
from realtime.conf import conf
from realtime.presence.client_presence import ClientPresence
from realtime.presence.presence_answer import presence_answer
from realtime.presence.room_signals import send_room_signal
from realtime.room_tokens import BadRoomToken
from realtime.rooms.history import read_history
from realtime.rooms.room_settings import Action
from realtime.sharded_layer import sharded_layer
from realtime.tokens import BadToken, sign_in_by
from shardlayer import (
    PAGE,
    Broadcast,
    Joined,
    MessageTooLarge,
    Node,
    Page,
    Publication,
    ShardedChannelLayer,
    ShardUnavailable,
)

logger = logging.getLogger(__name__)

UNBOUNDED: Final = 2**31  # bytes; more than any answer has
ANSWER_OVERHEAD: Final = 512  # bytes that an answer has beside one publication's data
ANONYMOUS: Final = "anonymous"  # owns the keys of all clients that nobody is signed in on


class ClientSession:
    """Does a client's commands, one after another, and answers each through its sink.

    A command that fails is answered with an error and changes nothing else. Made by `begin`; the
    owner must await `end()`.
    """

    __slots__ = (
        "_catch_up", "_client", "_conf", "_identity", "_is_new", "_known_user", "_layer",
        "_limits", "_max_text", "_node", "_permissions", "_presence", "_rooms", "_share",
        "_sign_in", "_sink",
        "_turns",
    )  # fmt: skip

    def __init__(
        self,
        scope: Mapping[str, Any],
        sink: ClientSink,
        layer: ShardedChannelLayer,
        node: Node,
        max_text: int,
    ) -> None:
        self._sink = sink
        self._max_text = max_text
        self._catch_up: CatchUp | None = None  # made for the first room that is behind
        self._conf = conf()
        self._presence: ClientPresence | None = None  # made for the first room that knows people
        self._layer = layer
        self._node = node
        self._rooms: set[str] = set()
        self._sign_in: SignIn | None = None  # made when somebody signs in
        self._identity = Identity(scope, self._gate)
        self._permissions = Permissions(self._identity)
        self._limits = ClientLimits(buckets_of(self._conf))
        self._client = scope.get("client")
        self._share: UserShare | None = None  # made when the user is known, or something published
        self._known_user: User | None = None  # for whom the connection counts
        self._is_new = False  # has a time to subscribe in
        self._turns = turns_of(node, self._conf.join_concurrency)
        node.attend(sink)

    @classmethod
    async def begin(
        cls, scope: Mapping[str, Any], sink: ClientSink, max_text: int = 0
    ) -> ClientSession:
        """Return a session in no room; what is announced reaches its client from here on.

        `max_text` is how many bytes of one message the client's server sends; 0: any amount.
        """
        layer = sharded_layer()
        return cls(scope, sink, layer, await layer.node(), max_text)

    async def handle(self, text: str) -> bool:
        """Do the command in a text frame; say whether to go on.

        Who sends too many is closed. The next command waits until the client has read most of what
        waits for it, so that nobody can ask faster than they read.
        """
        if not self._limits.take_commands():
            return self._close_for_rate()
        try:
            command = parse(text, limit=self._conf.max_client_message)
        except ProtocolError as error:
            counters.messages_refused += error.code == "too_large"
            self._write(replies.error(error))
        else:
            if isinstance(command, Subscribe):
                most = self._conf.max_rooms_per_client
                rooms = min(len(command.rooms), most or len(command.rooms)) - 1
                if rooms and not self._limits.take_commands(rooms):
                    return self._close_for_rate()
            if not await self.do(command):
                return False
        await self._sink.wait_drained()
        return True

    async def enter(self, rooms: Sequence[str]) -> bool:
        """Join the rooms of the URL, if there are any; say whether to go on.

        From here on the client has its time to subscribe, publish or sign in, if it has not yet.
        """
        if rooms:
            goes_on = await self.do(subscribe_to(rooms))
        else:
            user = self._identity.known_user
            goes_on = user is None or self._meet(user)
        user, patience = self._known_user, self._conf.subscribe_timeout
        if patience and not self._rooms and not (user is not None and user.is_authenticated):
            self._is_new = True
            newcomers_of(self._node, patience).add(self)
        return goes_on

    def close_unused(self) -> None:
        """Close the client, which has subscribed to nothing in its time."""
        self._is_new = False
        counters.unused_closed += 1
        self._sink.close(CLOSE_UNUSED, "nothing was subscribed to in time")

    async def do(self, command: Command) -> bool:
        """Do a command and write its answer; say whether to go on."""
        try:
            await _HANDLERS[type(command)](self, command)
        except Exception as error:
            failure = _as_protocol_error(error)
            failure.id = command.id
            self._write(replies.error(failure))
        user = self._identity.known_user
        return user is self._known_user or self._meet(user)

    async def end(self) -> None:
        """Leave every room, and hear no announcement any more."""
        if self._sign_in is not None:
            self._sign_in.end()
        self._node.depart(self._sink)
        for room in self._rooms:
            self._node.leave(room, self._sink)
        self._rooms.clear()
        if self._presence is not None:
            self._presence.end()
        if self._share is not None:
            self._share.leave()
        if self._is_new:
            self._used()
        if self._catch_up is not None:
            await self._catch_up.aclose()

    # What its sign-in asks for.

    @property
    def identity(self) -> Identity:
        """Who is on the connection."""
        return self._identity

    def push(self, text: bytes) -> None:
        """Write to the client."""
        self._write(text)

    def close(self, code: int, reason: str) -> None:
        """Close the client's connection."""
        self._sink.close(code, reason)

    def put_out(self, room: str) -> None:
        """Have the client leave a room, and tell it."""
        self._permissions.close(room)
        if room in self._rooms:
            counters.put_out += 1
            self._leave(room)
            self._write(replies.put_out(room))

    # Commands.

    async def _connect(self, command: Connect) -> None:
        resumed = None if command.note is None else await self._resume(command.note)
        if command.token is not None and not resumed:
            await self.sign_in(command.token)
        # Who comes back has no session read for the answer alone: many do so at once.
        is_asked = command.note is None or self._identity.is_known
        user = await self._identity.user() if is_asked else AnonymousUser()
        name, room = name_of(user), user_room(user) if user.is_authenticated else None
        for known in [known for known in self._rooms if known != room and is_user_room(known)]:
            self._leave(known)  # of whoever was signed in before
        self._write(
            replies.connected(command.id, node=self._node.id, user=name, room=room, resumed=resumed)
        )

    async def sign_in(self, token: str) -> None:
        """Sign the client in with a token; who may not stay in a room is put out of it.

        Raises:
            ProtocolError: The token signs nobody in.
        """
        before = self._identity.credential.user_id or self._identity.bearer
        try:
            await sign_in_by(token, self._identity)
        except BadToken as error:
            raise ProtocolError("bad_token", str(error)) from error
        if self._presence is not None:
            await self._presence.sign_in()
        is_same = before in (None, self._identity.credential.user_id)
        self._permissions.forget(keep_opened=is_same)
        for room in [room for room in self._rooms if not is_user_room(room)]:
            try:
                may = await self._permissions.allows("subscribe", room)
            except Exception as error:
                logger.error("A rule failed when a client signed in again.", exc_info=error)
                may = is_same
            if not may:
                self.put_out(room)

    async def _resume(self, text: str) -> bool:
        """Let a note count; return whether it does."""
        note = await self._gate().resume(text)
        if note is None:
            return False
        self._permissions.forget()
        self._permissions.open(note.rooms, note.ends - time.time())
        if self._presence is not None:
            await self._presence.sign_in()
        return True

    def _gate(self) -> SignIn:
        if self._sign_in is None:
            self._sign_in = SignIn(self, watch_of(self._layer, self._node))
        return self._sign_in

    async def _write_note(self, command: Note) -> None:
        note, ttl = None, self._conf.resume_ttl
        if ttl:
            bearer = None if self._sign_in is None else self._sign_in.bearer()
            note = write_note(self._identity.credential, self._rooms, bearer)
        self._write(replies.note(command.id, note=note, renew=ttl / 2))

    def _meet(self, user: User | None) -> bool:
        """Count the connection as its user's, which is known by now; say whether to go on."""
        self._known_user = user
        if user is None or not user.is_authenticated:
            if self._share is not None:
                self._share.leave()
            return True
        if self._is_new:
            self._used()
        if self._shared().enter(user):
            return True
        self._sink.close(CLOSE_USER, "too many connections of this user")
        return False

    def _shared(self) -> UserShare:
        if self._share is None:
            self._share = UserShare(shared_limits(self._conf), self._client)
        return self._share

    def _used(self) -> None:
        """Give the client all the time there is: it makes use of its connection."""
        self._is_new = False
        newcomers_of(self._node, self._conf.subscribe_timeout).remove(self)

    async def _subscribe(self, command: Subscribe) -> None:
        most = self._conf.max_rooms_per_frame
        if 0 < most < len(command.rooms):
            counters.frames_refused += 1
            raise ProtocolError("limit", f"A message names at most {most} rooms.")
        items = self._admitted(command.rooms)
        outcomes = await self._join_all(items)
        if not command.many and isinstance(outcomes[0], ProtocolError):
            raise outcomes[0]
        told = [
            replies.refused_item(item.room, outcome)
            if isinstance(outcome, ProtocolError)
            else replies.subscribed_item(outcome)
            for item, outcome in zip(items, outcomes, strict=True)
        ]
        self._write(replies.subscribed(command, told))
        for outcome in outcomes:
            if not isinstance(outcome, ProtocolError):
                self._release(outcome)  # what was published since follows the answer

    async def _join_all(self, items: Sequence[Wanted | Refused]) -> list[Joined | ProtocolError]:
        """Join rooms and return in their order what to tell the client of each."""
        turns = self._turns
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
        return [next(joins) if isinstance(item, Wanted) else item.error for item in items]

    def _admitted(self, items: Sequence[Wanted | Refused]) -> Sequence[Wanted | Refused]:
        """Return the rooms that may be asked for; refused are those past the client's limits."""
        admitted = []
        free = (self._conf.max_rooms_per_client or UNBOUNDED) - len(self._rooms)
        for item in items:
            if isinstance(item, Wanted) and item.room not in self._rooms:
                if free > 0 and self._limits.take_new_room():
                    free -= 1
                else:
                    item = Refused(room=item.room, error=self._refusal(free))
            admitted.append(item)
        return admitted

    def _refusal(self, free: int) -> ProtocolError:
        """Return why one room more can't be asked for; there is place for `free`."""
        if free <= 0:
            counters.rooms_over_limit += 1
            most = self._conf.max_rooms_per_client
            return ProtocolError("limit", f"A client has at most {most} rooms.")
        return self._too_many_rooms()

    def _page(self, rooms: int) -> Page:
        """Return what one room of so many may have of an answer."""
        most = self._max_answer()
        return Page(most // rooms, least=0) if most else PAGE

    def _max_answer(self) -> int:
        """Return how many bytes of publications an answer has at most; 0: any amount."""
        most = self._conf.max_client_answer
        # Half of what the server sends is left for what stands around the data.
        return min(most or self._max_text // 2, self._max_text // 2) if self._max_text else most

    async def _join(self, item: Wanted, rooms: int) -> Joined | ProtocolError:
        """Join a room and return what to tell the client; a room's failure stays its own."""
        is_new = item.room not in self._rooms
        try:
            await self._allow("subscribe", item.room, item.token)
            if is_new:
                check_place(self._node, item.room, self._conf)
            return await self._enter(item, PAGE if item.since is None else self._page(rooms))
        except Exception as error:
            if is_new:
                self._limits.give_back_new_room()  # who tries again while Redis is away may
            return _as_protocol_error(error)

    async def _enter(self, item: Wanted, page: Page) -> Joined:
        self._rooms.add(item.room)  # before the await, so that `end` leaves it whatever happens
        if self._catch_up is not None:
            self._catch_up.drop(item.room)
        try:
            joined = await self._node.join(item.room, self._sink, item.since, page)
        except Exception:
            self._leave(item.room)
            raise
        if self._is_new:
            self._used()
        mode = self._permissions.presence_of(item.room)
        if mode != "off":
            await self._be_seen(item.room, told=mode == "told")
        return joined

    async def _be_seen(self, room: str, *, told: bool) -> None:
        if self._presence is None:
            self._layer.room_watchers.add(send_room_signal)
            self._presence = ClientPresence(self._identity, self._node)
        await self._presence.come(room, told=told)

    def _release(self, joined: Joined) -> None:
        """Let a room's pushes through; first what the answer had no place for."""
        if not joined.is_behind:
            joined.release()
            return
        if self._catch_up is None:
            self._catch_up = CatchUp(self._node, self._sink, self._max_text)
        self._catch_up.add(joined)

    async def _unsubscribe(self, command: Unsubscribe) -> None:
        if command.room not in self._rooms:
            raise ProtocolError("not_subscribed", f"Not subscribed to {command.room}.")
        self._leave(command.room)
        self._write(replies.unsubscribed(command.id, room=command.room))

    async def _publish(self, command: Publish) -> None:
        if not self._limits.take_publication():
            counters.publishes_refused += 1
            most = self._conf.max_client_publishes
            raise ProtocolError("rate", f"A client publishes at most {most:g} times a second.")
        if command.room not in self._rooms and not self._limits.may_take_new_room():
            raise self._too_many_rooms()
        await self._allow("publish", command.room)
        if not self._shared().take_publication(await self._identity.user()):
            most = self._conf.max_user_publishes
            raise ProtocolError("rate", f"A user publishes at most {most:g} times a second.")
        owner = await self._owner() if command.key else ""
        position = await self._layer.publish(
            command.room, command.data, idempotency_key=command.key or None, owner=owner
        )
        if position is not None and position.offset == 1:
            self._limits.take_new_room()  # Redis remembers one room more
        if self._is_new:
            self._used()
        self._write(replies.published(command.id, room=command.room, position=position))

    async def _owner(self) -> str:
        """Return who owns the client's keys: no other user's, and no program's, are the same."""
        user = await self._identity.user()
        return user_room(user) if user.is_authenticated else ANONYMOUS

    async def _history(self, command: History) -> None:
        self._write(await self._turns.run(partial(self._read_history, command)))

    async def _read_history(self, command: History) -> bytes:
        await self._allow("subscribe", command.room, command.token)
        most, before = self._conf.max_client_history, command.before
        limit = min(command.limit or most, most)
        while True:
            read = await read_history(
                self._layer,
                command.room,
                limit=limit,
                before=before,
                max_bytes=self._max_answer() or UNBOUNDED,
            )
            sendable = [item for item in read.publications if self._can_send(item)]
            counters.too_large += len(read.publications) - len(sendable)
            if sendable or not read.left:
                break
            before, limit = read.publications[0].offset, read.left
        counters.answers_cut += read.left > 0
        return replies.history(
            command.id,
            room=command.room,
            position=read.position,
            publications=sendable,
            more=read.left,
        )

    def _can_send(self, publication: Publication) -> bool:
        return not 0 < self._max_text < len(publication.data) + ANSWER_OVERHEAD

    async def _ask_presence(self, command: AskPresence) -> None:
        self._write(await self._turns.run(partial(self._read_presence, command)))

    async def _read_presence(self, command: AskPresence) -> bytes:
        if not await self._permissions.allows("presence", command.room):
            counters.forbidden += 1
            raise ProtocolError("forbidden", f"You may not see who is in {command.room}.")
        return await presence_answer(self._layer, command, max_bytes=self._max_answer())

    async def _ping(self, command: Ping) -> None:
        self._write(replies.pong(command.id))

    async def _allow(self, action: Action, room: str, token: str | None = None) -> None:
        """Raise ProtocolError if the client may not; then it is no member of the room either."""
        refusal = ProtocolError("forbidden", f"You may not {action} to {room}.")
        try:
            if await self._permissions.allows(action, room, token):
                return
        except BadRoomToken as error:
            refusal = ProtocolError("bad_token", str(error))
        counters.forbidden += 1
        if action == "subscribe" and room in self._rooms:
            self._leave(room)
        raise refusal

    def _too_many_rooms(self) -> ProtocolError:
        counters.rooms_refused += 1
        most = self._conf.max_client_new_rooms
        return ProtocolError("rate", f"A client takes on at most {most:g} new rooms a second.")

    def _close_for_rate(self) -> bool:
        counters.rate_closed += 1
        self._sink.close(CLOSE_RATE, "too many commands")
        return False

    def _leave(self, room: str) -> None:
        self._rooms.discard(room)
        if self._catch_up is not None:
            self._catch_up.drop(room)
        if self._presence is not None:
            self._presence.go(room)
        self._node.leave(room, self._sink)

    def _write(self, reply: bytes) -> None:
        self._sink.write(Broadcast([reply]))


_HANDLERS: Final[dict[type[Command], Any]] = {
    Connect: ClientSession._connect,
    Note: ClientSession._write_note,
    Subscribe: ClientSession._subscribe,
    Unsubscribe: ClientSession._unsubscribe,
    Publish: ClientSession._publish,
    History: ClientSession._history,
    AskPresence: ClientSession._ask_presence,
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
