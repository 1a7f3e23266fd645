"""What one client's commands do."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from realtime.access.anonymous import User, anonymous_user
from realtime.access.client_permissions import Permissions
from realtime.access.identity import Identity, name_of
from realtime.access.notes import write_note
from realtime.access.rules_by_room import room_rules
from realtime.access.users import is_user_room, user_room
from realtime.client_refused import ClientRefused
from realtime.clients.client_counters import counters
from realtime.clients.client_facts import ClientFacts, described_members
from realtime.clients.client_rooms import IS_CLOSING, ClientRooms
from realtime.clients.client_signals import ToldClient
from realtime.clients.failures import as_protocol_error
from realtime.clients.history_answer import history_answer
from realtime.clients.newcomers import newcomers_of
from realtime.clients.places import too_many_new_of_user
from realtime.clients.protocol import replies
from realtime.clients.protocol.commands import (
    CLOSE_EXPIRED,
    CLOSE_FAILED,
    CLOSE_RATE,
    CLOSE_UNUSED,
    CLOSE_USER,
    AskPresence,
    Command,
    Connect,
    History,
    Note,
    OwnCommand,
    Ping,
    ProtocolError,
    Publish,
    Subscribe,
    Unsubscribe,
)
from realtime.clients.protocol.parsing import parse, subscribe_to, too_many_rooms
from realtime.clients.queued_sink import ClientSink
from realtime.clients.request_rates import ClientLimits, buckets_of
from realtime.clients.room_looks import may_stay
from realtime.clients.sign_in import SignIn
from realtime.clients.sign_in_watch import watch_of
from realtime.clients.user_limits import Publisher, UserShare, publisher_of, user_limits
from realtime.conf import conf
from realtime.json_values import encode
from realtime.people.presence_answer import presence_answer
from realtime.sharded_layer import sharded_layer
from realtime.tokens import BadToken, sign_in_by
from shardlayer import (
    Broadcast,
    ClientName,
    Node,
    Position,
    ShardedChannelLayer,
)

OwnHandler = Callable[[Any], Awaitable[Any]]
"""Does a command of the project's: takes what the client sent, returns what it is answered."""

NO_COMMANDS: Final[Mapping[str, OwnHandler]] = MappingProxyType({})

ANONYMOUS: Final = "anonymous"  # owns the keys of all clients that nobody is signed in on


class ClientSession:
    """Does a client's commands, one after another, and answers each through its sink.

    A command that fails is answered with an error and changes nothing else. Made by `begin`; the
    owner must await `end()`.
    """

    __slots__ = (
        "_client",
        "_conf",
        "_identity",
        "_is_new",
        "_known_user",
        "_layer",
        "_limits",
        "_max_text",
        "_name",
        "_node",
        "_own",
        "_permissions",
        "_rooms",
        "_share",
        "_sign_in",
        "_since",
        "_sink",
        "_told",
    )  # fmt: skip

    def __init__(
        self,
        scope: Mapping[str, Any],
        sink: ClientSink,
        layer: ShardedChannelLayer,
        node: Node,
        max_text: int,
        own: Mapping[str, OwnHandler],
    ) -> None:
        self._sink = sink
        self._own = own
        self._max_text = max_text
        self._conf = conf()
        self._layer = layer
        self._node = node
        self._sign_in: SignIn | None = None  # made when somebody signs in
        self._identity = Identity(scope, self._gate)
        self._permissions = Permissions(self._identity)
        self._limits = ClientLimits(buckets_of(self._conf))
        self._client = scope.get("client")
        self._name: ClientName | None = None  # made when somebody asks for it
        self._told = ToldClient.of(
            self._named, self._identity, self._client[0] if self._client else None
        )
        self._rooms = ClientRooms(
            layer,
            node,
            sink,
            self._identity,
            self._permissions,
            self._limits,
            max_text,
            self._told,
            self._client,
        )
        self._share: UserShare | None = None  # made when the user is known, or something published
        self._known_user: User | None = None  # for whom the connection counts
        self._is_new = False  # has a time to subscribe in
        self._since = time.time()
        sink.client = self
        node.attend(sink)

    @classmethod
    async def begin(
        cls,
        scope: Mapping[str, Any],
        sink: ClientSink,
        max_text: int = 0,
        own: Mapping[str, OwnHandler] = NO_COMMANDS,
    ) -> ClientSession:
        """Return a session in no room; what is announced reaches its client from here on.

        `max_text` is how many bytes of one message the client's server sends; 0: any amount. `own`
        are the commands that the project has beside those of the protocol, by name.
        """
        layer = sharded_layer()
        node = await layer.node()
        node.describe = described_members
        return cls(scope, sink, layer, node, max_text, own)

    async def handle(self, text: str) -> bool:
        """Do the command in a text frame; say whether to go on.

        Who sends too many is closed. The next command waits until the client has read most of what
        waits for it, so that nobody can ask faster than they read. Once the client is closed, say
        by a sign-out, what it has sent before is not done any more.
        """
        if self._rooms.is_closed:
            return False
        if not self._limits.take_commands():
            return self._close_for_rate()
        try:
            limits = self._conf
            command = parse(
                text,
                limit=limits.max_client_message,
                rooms=limits.max_rooms_per_frame,
                own=self._own,
            )
        except ProtocolError as error:
            counters.messages_refused += error.code == "too_large"
            counters.frames_refused += error.code == "limit"
            self._write(replies.error(error))
        else:
            more = self._rooms_to_ask_about(command)
            if more > 0 and not self._limits.take_commands(more):
                return self._close_for_rate()
            if not await self.do(command):
                return False
        await self._sink.wait_drained()
        return not self._rooms.is_closed

    def _rooms_to_ask_about(self, command: Command) -> int:
        """Return for how many rooms rules may be asked, beside the first of a list."""
        if isinstance(command, Subscribe):
            most = self._conf.max_rooms_per_client
            return min(len(command.rooms), most or len(command.rooms)) - 1
        signs_in = isinstance(command, Connect) and (command.token or command.note)
        return len(self._rooms) if signs_in else 0

    async def enter(self, rooms: Sequence[str], since: Sequence[Position | None] = ()) -> bool:
        """Join the rooms of the URL, if there are any; say whether to go on.

        `since` may say for each where the client is. From here on the client has its time to
        subscribe, publish or sign in, if it has not yet.
        """
        most = self._conf.max_rooms_per_frame
        if 0 < most < len(rooms):
            counters.frames_refused += 1
            self._write(replies.error(too_many_rooms(most, 0)))
            goes_on = True
        elif rooms:
            goes_on = await self.do(subscribe_to(rooms, since))
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
        self.close(CLOSE_UNUSED, "nothing was subscribed to in time")

    async def do(self, command: Command) -> bool:
        """Do a command and write its answer; say whether to go on."""
        try:
            self._rooms.require_open()
            await _HANDLERS[type(command)](self, command)
        except Exception as error:
            self._write_failure(error, command.id)
        if self._rooms.is_closed:
            return False
        user = self._identity.known_user
        return user is self._known_user or self._meet(user)

    def _write_failure(self, error: Exception, id: int) -> None:
        # Not in a frame of its traceback, which would know the error, which knows the frame.
        failure = as_protocol_error(error)
        failure.id = id
        self._write(replies.error(failure))

    async def end(self) -> None:
        """Leave every room, and hear no announcement any more."""
        if self._sign_in is not None:
            self._sign_in.end()
            self._sign_in = None  # which has this session, as the gate of its identity does
        self._identity.close()
        self._node.depart(self._sink)
        self._sink.client = None  # which has this session, that has it
        self._own = NO_COMMANDS  # methods of what has this session
        if self._share is not None:
            self._share.leave()
        if self._is_new:
            self._used()
        try:
            await self._rooms.end()
        finally:
            if self._told is not None:
                self._told.gone()
            if self._name is not None:
                self._node.unname_client(self._name)

    # What its sign-in asks for.

    @property
    def identity(self) -> Identity:
        """Who is on the connection."""
        return self._identity

    async def loaded_user(self) -> User:
        """Return the user with all fields; an anonymous one if nobody is signed in.

        Raises:
            ClientRefused: The client is being sent away, say because its user is gone.
        """
        user = await self._identity.loaded_user()
        if self._rooms.is_closed:
            raise ClientRefused(IS_CLOSING)
        return user

    @property
    def rooms(self) -> list[str]:
        """The rooms that the client is in now, in no order."""
        return list(self._rooms)

    def describe(self) -> ClientFacts:
        """Return what an operator is told of the client."""
        return ClientFacts(
            client=self._named(),
            user=self._identity.known_key,
            address=self._client[0] if self._client else None,
            since=self._since,
            waiting=self._sink.waiting,
        )

    @property
    def client_id(self) -> str:
        """The connection's id, by which a publication may leave the client out."""
        return self._named()

    def push(self, text: bytes) -> None:
        """Write to the client."""
        self._write(text)

    def close(self, code: int, reason: str) -> None:
        """Close the client's connection, and do nothing for it any more."""
        self._rooms.is_closed = True
        self._sink.close(code, reason)

    def put_out(self, room: str) -> None:
        """Have the client leave a room, and tell it."""
        self._permissions.close(room)
        if room in self._rooms:
            counters.put_out += 1
            self._rooms.leave(room)
            self._write(replies.put_out(room))

    # Commands.

    async def _connect(self, command: Connect) -> None:
        resumed = None if command.note is None else await self._resume(command.note)
        if command.token is not None and not resumed:
            await self.sign_in(command.token)
        # Who comes back has no session read for the answer alone: many do so at once.
        is_asked = command.note is None or self._identity.is_known
        user = await self._identity.user() if is_asked else anonymous_user()
        name, room = None, None
        if user.is_authenticated:
            name, room = self._identity.credential.name or name_of(user), user_room(user)
        for known in [known for known in self._rooms if known != room and is_user_room(known)]:
            self._rooms.leave(known)  # of whoever was signed in before
        self._write(
            replies.connected(
                command.id,
                node=self._node.id,
                client=self._named(),
                user=name,
                room=room,
                resumed=resumed,
            )
        )

    def _named(self) -> str:
        """Return the connection's id, which is made when it is first asked for."""
        if self._name is None:
            self._name = self._node.name_client(self._sink)
        return self._name

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
        await self._rooms.sign_in()
        is_same = before in (None, self._identity.credential.user_id)
        self._permissions.forget(keep_opened=is_same)
        await self.check_rooms(stays_on_error=is_same)

    async def sign_in_first(self, token: str) -> bool:
        """Sign in whoever brings a token with the request; say whether to go on."""
        try:
            await self.sign_in(token)
        except Exception as error:  # of a database that is away, too
            told = as_protocol_error(error).with_traceback(None)  # else a cycle with this frame
            told.id = 0
            self.push(replies.error(told))
            is_refused = isinstance(error, ProtocolError)
            self.close(CLOSE_EXPIRED if is_refused else CLOSE_FAILED, told.message)
            return False
        return True

    async def check_rooms(self, *, stays_on_error: bool = True) -> None:
        """Ask again whether the client may be in its rooms; put it out of those where it may not.

        What a token has opened stays open. Where a rule fails, or takes too long, nothing is known;
        then the client stays, or goes, as it is said.
        """
        for room in self.rooms_with_rules():
            await self._check_room(room, stays_on_error=stays_on_error)

    async def _check_room(self, room: str, *, stays_on_error: bool) -> None:
        if room not in self._rooms or self._permissions.was_opened(room):
            return
        if not await may_stay(self._permissions, room, stays_on_error=stays_on_error):
            self.put_out(room)

    def rooms_with_rules(self) -> Sequence[str]:
        """Return the rooms that the client is in, but for users' own, whose rule is fixed."""
        return [room for room in self._rooms if not is_user_room(room)]

    async def look_at_room(self, room: str) -> None:
        """Ask the rule again whether the client may be in a room, whatever a note says.

        Where the rule fails, the client stays.
        """
        if not self._rooms.is_closed:
            self._permissions.forget(keep_opened=True)
            await self._check_room(room, stays_on_error=True)

    async def _resume(self, text: str) -> bool:
        """Let a note count; return whether it does."""
        before = self._identity.credential.user_id or self._identity.bearer
        note = await self._gate().resume(text)
        if note is None:
            return False
        is_same = before in (None, self._identity.credential.user_id)
        self._permissions.forget(keep_opened=is_same)
        left = note.ends - time.time()
        self._permissions.take_note_of(note.rooms, left)
        self._permissions.open(note.signed, left)
        await self._rooms.sign_in()
        await self.check_rooms(stays_on_error=is_same)
        return True

    def _gate(self) -> SignIn:
        if self._sign_in is None:
            self._sign_in = SignIn(self, watch_of(self._layer, self._node))
        return self._sign_in

    async def _write_note(self, command: Note) -> None:
        note, ttl = None, self._conf.resume_ttl
        if ttl:
            heard = None if self._sign_in is None else await self._sign_in.heard()
            bearer = None if self._sign_in is None else self._sign_in.bearer()
            opened = self._permissions.was_opened
            note = write_note(self._identity.credential, self._rooms, bearer, opened, heard)
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
        self.close(CLOSE_USER, "too many connections of this user")
        return False

    def _shared(self) -> UserShare:
        if self._share is None:
            self._share = UserShare(user_limits(self._conf), self._client)
        return self._share

    def _used(self) -> None:
        """Give the client all the time there is: it makes use of its connection."""
        self._is_new = False
        newcomers_of(self._node, self._conf.subscribe_timeout).remove(self)

    async def _subscribe(self, command: Subscribe) -> None:
        items = self._rooms.admitted(command.rooms)
        outcomes = await self._rooms.join_all(items)
        if self._is_new and self._rooms:
            self._used()
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
                self._rooms.release(outcome)  # what was published since follows the answer

    async def _unsubscribe(self, command: Unsubscribe) -> None:
        if command.room not in self._rooms:
            raise ProtocolError("not_subscribed", f"Not subscribed to {command.room}.")
        self._rooms.leave(command.room)
        self._write(replies.unsubscribed(command.id, room=command.room))

    async def _publish(self, command: Publish) -> None:
        if not self._limits.take_publication():
            counters.publishes_refused += 1
            most = self._conf.max_client_publishes
            raise ProtocolError("rate", f"A client may publish {most:g} times a second at most.")
        if command.room not in self._rooms and not self._limits.may_take_new_room():
            raise self._rooms.too_many_new()
        await self._rooms.require("publish", command.room)
        user = await self._identity.user()
        if not self._shared().take_publication(user):
            most = self._conf.max_user_publishes
            raise ProtocolError("rate", f"A user may publish {most:g} times a second at most.")
        payer = self._pay_for_new_room(command.room, user)
        position = None
        try:
            position = await self._put(command)
        finally:
            if position is None or position.offset != 1:
                self._rooms.user_limits.give_back_new_room(payer)
        if position is not None and position.offset == 1:
            self._limits.take_new_room()  # Redis remembers one room more
        if self._is_new:
            self._used()
        self._write(replies.published(command.id, room=command.room, position=position))

    def _pay_for_new_room(self, room: str, user: User) -> Publisher | None:
        """Take a user's token for a room that may be new to Redis; return who gets it back if not.

        Of a room that a client here is in, whoever brought it here has paid: None.

        Raises:
            ProtocolError: It was not there.
        """
        limits = self._rooms.user_limits
        if room in limits.rooms:
            return None
        payer = publisher_of(user, self._client)
        if not limits.take_new_room(payer):
            raise too_many_new_of_user(self._conf)
        return payer

    async def _put(self, command: Publish) -> Position | None:
        """Publish what a client may, as the project's function has it; return where it is."""
        data = await self._revised(command)
        owner = await self._owner() if command.key else ""
        self._rooms.require_open()  # the last look: what comes next can't be taken back
        return await self._layer.publish(
            command.room, data, idempotency_key=command.key or None, owner=owner
        )

    async def _revised(self, command: Publish) -> bytes:
        """Return what is published, as the project's function has it, if there is one.

        It is asked about the user who sent it, and about nobody else: one who is gone by now has
        the connection closed.
        """
        if room_rules().of(command.room).on_publish is None:
            return command.data
        await self.loaded_user()
        return await self._permissions.revised(command.room, command.data)

    async def _owner(self) -> str:
        """Return who owns the client's keys: no other user's, and no program's, are the same."""
        user = await self._identity.user()
        return user_room(user) if user.is_authenticated else ANONYMOUS

    async def _history(self, command: History) -> None:
        closings = self._permissions.closings
        answer = await self._rooms.turns.run(partial(self._read_history, command))
        if self._permissions.closings != closings:  # put out of a room, perhaps of this one
            await self._require_reading(command)
        self._write(answer)

    async def _require_reading(self, command: History) -> None:
        await self._rooms.require_membership(command.room, command.token, self.put_out)

    async def _read_history(self, command: History) -> bytes:
        await self._require_reading(command)
        most = self._rooms.max_answer()
        return await history_answer(self._layer, command, max_bytes=most, max_text=self._max_text)

    async def _ask_presence(self, command: AskPresence) -> None:
        closings = self._permissions.closings
        answer = await self._rooms.turns.run(partial(self._read_presence, command))
        if self._permissions.closings != closings:
            await self._require_presence(command)
        self._write(answer)

    async def _read_presence(self, command: AskPresence) -> bytes:
        await self._require_presence(command)
        return await presence_answer(self._layer, command, max_bytes=self._rooms.max_answer())

    async def _require_presence(self, command: AskPresence) -> None:
        if not await self._permissions.allows("presence", command.room):
            counters.forbidden += 1
            raise ProtocolError("forbidden", f"You may not see who is in {command.room}.")

    async def _do_own(self, command: OwnCommand) -> None:
        answer = encode(await self._own[command.name](command.value))
        if self._is_new:
            self._used()
        self._write(replies.own(command.id, name=command.name, value=answer))

    async def _ping(self, command: Ping) -> None:
        self._write(replies.pong(command.id))

    def _close_for_rate(self) -> bool:
        counters.rate_closed += 1
        self.close(CLOSE_RATE, "too many commands")
        return False

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
    OwnCommand: ClientSession._do_own,
}
