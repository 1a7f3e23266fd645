"""Frames to commands, without I/O.

Parsing either returns a command or raises `ProtocolError`, which is the answer; it raises nothing
else, whatever a client sends.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any, Final

import orjson

from realtime.clients.protocol.commands import (
    AskPresence,
    Command,
    Connect,
    History,
    Note,
    OwnCommand,
    Ping,
    ProtocolError,
    Publish,
    Refused,
    Subscribe,
    Unsubscribe,
    Wanted,
)
from realtime.rooms.room_names import (
    MAX_ROOM_TOKEN,
    ROOM_END,
    ROOM_RULE,
    is_room_name,
)
from shardlayer import Position

MAX_ID: Final = 2**53 - 1  # the largest whole number that JavaScript keeps exactly
MAX_EPOCH: Final = 64  # characters
MAX_KEY: Final = 64  # characters
MAX_PERSON: Final = 255  # characters


def is_position(at: Position) -> bool:
    """Tell whether there may be such a place: only the one before everything has no epoch."""
    if at.offset and not at.epoch:
        return False
    return 0 <= at.offset <= MAX_ID and len(at.epoch) <= MAX_EPOCH


def parse(text: str, *, limit: int, rooms: int = 0, own: Container[str] = frozenset()) -> Command:
    """Return the command in a text frame of at most `limit` bytes of UTF-8.

    It names at most so many `rooms`, of which 0 is any number; the names of more are not looked at.
    `own` are the commands that the project has beside those of the protocol.

    Raises:
        ProtocolError: The frame holds none; its `id` is the command's, where there is one.
    """
    if len(text) > limit or (not text.isascii() and len(text.encode()) > limit):
        raise ProtocolError("too_large", f"A message from a client has at most {limit:,} bytes.")
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ProtocolError("bad_json", f"The message is not JSON: {error}.") from error
    if not isinstance(frame, dict):
        raise ProtocolError("bad_request", "A message must be a JSON object.")
    id = frame.pop("id", None)
    if type(id) is not int or not 0 < id <= MAX_ID:
        raise ProtocolError(
            "bad_request", f"A command needs an 'id': a whole number from 1 to {MAX_ID}."
        )
    if len(frame) != 1:
        raise ProtocolError("bad_request", "A message has exactly one command beside its id.", id)
    ((name, body),) = frame.items()
    parser = _PARSERS.get(name)
    if parser is None:
        if name in own:
            return OwnCommand(id=id, name=name, value=body)
        raise ProtocolError("unknown_command", f"There is no command {_quoted(name)}.", id)
    if rooms and isinstance(body, list) and len(body) > rooms:
        raise too_many_rooms(rooms, id)
    try:
        return parser(id, body)
    except ProtocolError as error:
        error.id = id
        raise


def too_many_rooms(most: int, id: int) -> ProtocolError:
    """Return the answer to a message, or a URL, that names more rooms than it may."""
    return ProtocolError("limit", f"A message names at most {most} rooms.", id)


def subscribe_to(rooms: Sequence[str], since: Sequence[Position | None] = ()) -> Subscribe:
    """Return the command that the `?room=` parameters of a URL stand for: id 0, a list.

    Each is a room's name, or `NAME~TOKEN`. Where the client is in each may stand in `since`.
    """
    bodies = [_of_parameter(room) for room in rooms]
    for body, position in zip(bodies, since, strict=False):
        if position is not None:
            body |= position._asdict()
    return Subscribe(id=0, rooms=_listed(bodies), many=True)


def room_of_parameter(text: str) -> str:
    """Return the room that a `?room=` parameter names."""
    return text.partition(ROOM_END)[0]


def _of_parameter(text: str) -> dict[str, Any]:
    room, separator, token = text.partition(ROOM_END)
    return {"room": room, "token": token} if separator else {"room": room}


def _connect(id: int, body: object) -> Connect:
    fields = _object(body)
    token, note = fields.get("token"), fields.get("note")
    if token is not None and not isinstance(token, str):
        raise ProtocolError("bad_token", "The token must be a string.")
    if note is not None and not isinstance(note, str):
        raise ProtocolError("bad_request", "The note must be a string.")
    return Connect(id=id, token=token, note=note)


def _note(id: int, body: object) -> Note:
    return Note(id=id)


def _subscribe(id: int, body: object) -> Subscribe:
    if isinstance(body, list):
        if not body:
            raise ProtocolError("bad_request", "The list of rooms is empty.")
        return Subscribe(id=id, rooms=_listed(body), many=True)
    return Subscribe(id=id, rooms=(_wanted(_object(body)),), many=False)


def _unsubscribe(id: int, body: object) -> Unsubscribe:
    return Unsubscribe(id=id, room=_room(_object(body)))


def _publish(id: int, body: object) -> Publish:
    fields = _object(body)
    room = _room(fields)
    if "data" not in fields:
        raise ProtocolError("bad_request", "A publish command needs data.")
    try:
        # Marshalled again rather than cut out of the frame: one key stays of doubled ones, so
        # that every reader sees what the server checked, and the white space goes.
        data = orjson.dumps(fields["data"])
    except orjson.JSONEncodeError as error:
        raise ProtocolError("bad_request", "The data is nested too deeply.") from error
    return Publish(id=id, room=room, data=data, key=_key(fields.get("key")))


def _history(id: int, body: object) -> History:
    fields = _object(body)
    limit = fields.get("limit")
    if limit is not None and (type(limit) is not int or not 0 < limit <= MAX_ID):
        raise ProtocolError("bad_request", f"'limit' must be a whole number from 1 to {MAX_ID}.")
    before = fields.get("before")
    if before is not None and (type(before) is not int or not 0 < before <= MAX_ID):
        raise ProtocolError("bad_request", f"'before' must be an offset from 1 to {MAX_ID}.")
    room, token = _room(fields), _room_token(fields)
    return History(id=id, room=room, limit=limit, before=before or 0, token=token)


def _presence(id: int, body: object) -> AskPresence:
    fields = _object(body)
    limit = fields.get("limit")
    if limit is not None and (type(limit) is not int or not 0 <= limit <= MAX_ID):
        raise ProtocolError("bad_request", f"'limit' must be a whole number from 0 to {MAX_ID}.")
    after = fields.get("after", "")
    if not isinstance(after, str) or len(after) > MAX_PERSON or "\0" in after:
        raise ProtocolError("bad_request", "'after' must be what 'person' was in an answer.")
    return AskPresence(id=id, room=_room(fields), limit=limit, after=after)


def _ping(id: int, body: object) -> Ping:
    return Ping(id=id)


_PARSERS: Final[dict[str, Callable[[int, object], Command]]] = {
    "connect": _connect,
    "note": _note,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "publish": _publish,
    "history": _history,
    "presence": _presence,
    "ping": _ping,
}

_WORDS: Final = frozenset(
    ("id", "error", "room", "offset", "data", "reset", "announcement", "renew", "reconnect")
)  # which say what an answer or a push is


def may_name_command(name: str) -> bool:
    """Return whether a project may have a command of that name beside those of the protocol."""
    return name not in _PARSERS and name not in _WORDS


def _object(body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise ProtocolError("bad_request", "A command's body must be a JSON object.")
    return body


def _room(body: dict[str, Any]) -> str:
    room = body.get("room")
    if not is_room_name(room):
        raise ProtocolError("bad_room", ROOM_RULE)
    return str(room)


def _key(key: object) -> str:
    if key is None:
        return ""
    if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY:
        raise ProtocolError("bad_request", f"'key' must be a string of 1 to {MAX_KEY} characters.")
    return key


def _room_token(body: dict[str, Any]) -> str | None:
    token = body.get("token")
    if token is not None and (not isinstance(token, str) or len(token) > MAX_ROOM_TOKEN):
        raise ProtocolError("bad_token", f"A room's token has at most {MAX_ROOM_TOKEN} characters.")
    return token


def _wanted(body: dict[str, Any]) -> Wanted:
    room, token = _room(body), _room_token(body)
    offset, epoch = body.get("offset"), body.get("epoch")
    if offset is None and epoch is None:
        return Wanted(room=room, token=token)
    if type(offset) is not int or not 0 <= offset <= MAX_ID:
        raise ProtocolError("bad_request", f"'offset' must be a whole number from 0 to {MAX_ID}.")
    if not isinstance(epoch, str) or not is_position(at := Position(offset, epoch)):
        raise ProtocolError("bad_request", "'offset' needs the 'epoch' that came with it.")
    return Wanted(room=room, since=at, token=token)


def _listed(bodies: Sequence[object]) -> tuple[Wanted | Refused, ...]:
    rooms: list[Wanted | Refused] = []
    seen: set[str] = set()
    for body in bodies:
        fields = _object(body)
        try:
            wanted = _wanted(fields)
            if wanted.room in seen:
                raise ProtocolError("bad_request", "The list names this room twice.")
        except ProtocolError as error:
            without_frames = error.with_traceback(None)  # else it would know this list, that has it
            rooms.append(Refused(room=_echo(fields.get("room")), error=without_frames))
        else:
            seen.add(wanted.room)
            rooms.append(wanted)
    return tuple(rooms)


def _quoted(name: str) -> str:
    return repr(name if len(name) <= 32 else f"{name[:32]}…")


def _echo(room: object) -> str:
    return room if isinstance(room, str) else ""
