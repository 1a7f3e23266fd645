"""The packed batch: what one publish to a node's inbox carries.

All integers are unsigned and big-endian.

    batch := version:1  entry*
    entry := head  body:length
    head  := offset:8  epoch:8  length:4
    body  := kind:1  name_length:1  name:name_length  payload

`version` comes first so that a process that can't read the rest knows that it can't. `offset` and
`epoch` are given by the publish script and stand before the body, which the publisher packed and
which Redis never looks into: the script puts 20 bytes before it and appends the same bytes to the
room's history. `offset` is 0 and `epoch` eight NUL bytes where a room keeps no history. `name` is
the group's (or, for a wake-up, the channel's) name in ASCII, `payload` whatever is left.

| kind | name | payload |
|------|------|---------|
| 0 publication | room (or `room!client`, see client_names.py) | JSON text as clients get it |
| 1 message | group | a Channels message, serialized |
| 2 wake-up | channel | empty: a message waits in the channel's queue |
| 3 add | group | the name of a channel of this node, which becomes a member of the group |
| 4 discard | group | the name of a channel of this node, which is a member no longer |
| 5 flush | empty | a mark: no message waits and no channel is in a group any more |
| 6 probe | the node | empty: the node that it comes to sent it, to find out whether it hears |
| 7 announcement | empty | JSON text in UTF-8, for everybody who attends |
| 8 presence | room | who came and who went, see presence_news.py |
| 9 census | group | a question: which channels of the group the node receives (group_census.py) |
| 10 stamp | empty | when the oldest publication of the batch began its way: ms since 1970 |
| 11 trace | room | the trace that the next entry, a publication, belongs to: a W3C `traceparent` |
| 12 shard | empty | empty; the entry's offset is the shard that those behind it are of |

What a process doesn't know the kind of it passes over: so a newer release may send more kinds.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from enum import IntEnum
from functools import partial
from typing import NamedTuple

from shardlayer.core.exceptions import WireError, WireVersionError

VERSION = 1
VERSION_BYTE = bytes((VERSION,))
EPOCH_LENGTH = 8
NO_EPOCH = b"\0" * EPOCH_LENGTH
MAX_NAME_LENGTH = 255  # bytes; Channels allows 99 characters
ENTRY_OVERHEAD = 8 + EPOCH_LENGTH + 4 + 2  # bytes that an entry takes besides name and payload

UNREADABLE = b"null"
"""What members of a room get in the place of a publication that can't be pushed to them."""

_SPACE = b" \t\r\n"
_LAST_OF = dict(zip(b'{["', b'}]"', strict=True))  # how a JSON text ends that begins so
_PLAIN = re.compile(rb"true|false|null|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")

_entry_head = struct.Struct(">Q8sI")
_body_head = struct.Struct(">BB")
_entry_start = struct.Struct(">Q8sIBB")  # both
HEAD_LENGTH = _entry_head.size  # bytes that stand before an entry's body
_stamp = struct.Struct(">Q")


class Kind(IntEnum):
    """What an entry's payload is."""

    PUBLICATION = 0
    MESSAGE = 1
    WAKE_UP = 2
    ADD = 3
    DISCARD = 4
    FLUSH = 5
    PROBE = 6
    ANNOUNCEMENT = 7
    PRESENCE = 8
    CENSUS = 9
    STAMP = 10
    TRACE = 11
    SHARD = 12
    CLEARED = 13


class Entry(NamedTuple):
    """One entry of a batch, decoded.

    A named tuple, not a dataclass: a node makes one for every publication that it hears.
    """

    kind: int
    name: str
    payload: bytes
    offset: int
    epoch: str


_STAMP_HEAD = _body_head.pack(Kind.STAMP, 0)

_as_entry: Callable[[tuple[int, str, bytes, int, str]], Entry] = partial(
    tuple.__new__, Entry
)  # without the frame that a named tuple's own `__new__` costs


def pack_head(kind: Kind, name: str) -> bytes:
    """Return what stands before the payload in the body of an entry.

    Raises:
        WireError: If the name is not ASCII or longer than `MAX_NAME_LENGTH`.
    """
    try:
        encoded = name.encode("ascii")
        return _body_head.pack(kind, len(encoded)) + encoded
    except (UnicodeEncodeError, struct.error) as error:
        raise WireError(f"{name!r} can't be packed as a name: {error}.") from error


def pack_body(kind: Kind, name: str, payload: bytes) -> bytes:
    """Return the part of an entry that the publisher knows. Raises like `pack_head`."""
    return pack_head(kind, name) + payload


def pack_entry(body: bytes, *, offset: int = 0, epoch: str = "") -> bytes:
    """Return a whole entry, as the publish script makes it in Lua."""
    return _entry_head.pack(offset, epoch.encode() if epoch else NO_EPOCH, len(body)) + body


def pack_batch(*entries: bytes, since: float = 0.0) -> bytes:
    """Return a batch of entries that `pack_entry` made; `since` as in `opening`."""
    return opening(since) + b"".join(entries)


def opening(since: float) -> bytes:
    """Return how a batch begins whose oldest publication began its way then.

    `since` is in seconds since 1970; 0 if nobody knows.
    """
    if since <= 0:
        return VERSION_BYTE
    return pack_batch(pack_entry(_STAMP_HEAD + _stamp.pack(int(since * 1000))))


def unpack_stamp(payload: bytes) -> float:
    """Return what a stamp says, in seconds since 1970; 0 if it can't be read."""
    return _stamp.unpack(payload)[0] / 1000 if len(payload) == _stamp.size else 0.0


def pack_order(
    kind: Kind, name: str, payload: bytes = b"", *, offset: int = 0, epoch: str = ""
) -> bytes:
    """Return a batch of one entry that stands in no room's history: what a node is told to do."""
    return pack_batch(pack_entry(pack_body(kind, name, payload), offset=offset, epoch=epoch))


def may_be_json(payload: bytes) -> bool:
    """Tell whether bytes may be JSON text in UTF-8: they are it, and begin and end like it.

    What stands between is not parsed, which would cost more than all else that is done with it.
    """
    if not payload or payload[-1] != _LAST_OF.get(payload[0]):
        stripped = payload.strip(_SPACE)
        if stripped != payload:
            return may_be_json(stripped)
        return _PLAIN.fullmatch(payload) is not None
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def unpack_heads(data: bytes) -> Iterator[tuple[int, str]]:
    """Yield offset and epoch of each of the entries that these are the heads of.

    Raises:
        WireError: If one is cut short.
    """
    try:
        for offset, epoch, _ in _entry_head.iter_unpack(data):
            yield offset, "" if epoch == NO_EPOCH else str(epoch, "ascii", "replace")
    except struct.error as error:
        raise WireError(f"Heads of entries are cut short: {error}.") from error


def unpack_body(body: bytes, *, offset: int, epoch: str) -> Entry:
    """Decode a body that was read from a room's history.

    Raises:
        WireError: If it is cut short.
    """
    if len(body) < _body_head.size:
        raise WireError(f"An entry's body of {len(body)} bytes is cut short.")
    kind, name_length = _body_head.unpack_from(body)
    name_end = _body_head.size + name_length
    if len(body) < name_end:
        raise WireError(f"An entry's name of {name_length} bytes is cut short.")
    name = str(body[_body_head.size : name_end], "ascii", "replace")
    return Entry(kind, name, body[name_end:], offset, epoch)


def unpack_batch(data: bytes) -> list[Entry]:
    """Decode a batch; entries in the order in which they were published.

    Raises:
        WireVersionError: If the version byte is not one that this release reads.
        WireError: If the batch is empty or cut short.
    """
    if not data:
        raise WireError("A batch is empty.")
    if data[0] != VERSION:
        raise WireVersionError(version=data[0], known=(VERSION,))
    entries: list[Entry] = []
    position, end = 1, len(data)
    unpack_from = _entry_start.unpack_from
    while position < end:
        # In one step, and no body copied out of the batch: a node does this for all that it hears.
        name_start = position + _entry_start.size
        if name_start > end:
            raise WireError(f"A batch is cut short at byte {end}, inside an entry's head.")
        offset, epoch, length, kind, name_length = unpack_from(data, position)
        position += _entry_head.size + length
        name_end = name_start + name_length
        if position > end:
            raise WireError(f"A batch is cut short at byte {end}, inside an entry's body.")
        if name_end > position:
            raise WireError(f"An entry's name of {name_length} bytes is cut short.")
        entries.append(
            _as_entry(
                (
                    kind,
                    str(data[name_start:name_end], "ascii", "replace"),
                    data[name_end:position],
                    offset,
                    "" if epoch == NO_EPOCH else str(epoch, "ascii", "replace"),
                )
            )
        )
    return entries
