"""What a balancer and a worker say to each other, on a Unix stream socket. No I/O.

A frame is one byte of kind, two of length, and the payload; numbers are big-endian.

    worker -> balancer   JOIN      version u8, capacity u32, name (UTF-8)
                         LOAD      taken u64, held u32, silent u32 (may be missing: 0)
                         GIVE_BACK count u32
    balancer -> worker   SHARE     capacity u32, reserve u32, takes_back u8 (may be missing: 0)
                         HANDOVER  given_at f64, one byte of address family for each connection

The descriptors of a HANDOVER travel beside its bytes (SCM_RIGHTS) and arrive with its first byte.
`taken` counts all connections that the worker took since it joined, so one LOAD is a receipt for
all before it. GIVE_BACK is the opposite, for the next ones of the same order: other workers may
have them. A frame of an unknown kind is passed over: a newer peer may send it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from shardlayer.core.exceptions import ShardLayerError

VERSION = 1
MAX_BATCH = 250  # connections in one HANDOVER; the kernel passes 253 descriptors at once
MAX_NAME = 64  # bytes of a worker's name
MAX_PAYLOAD = 1024  # bytes

# A HANDOVER that is older is not taken any more (RECEIPT_TIMEOUT is when the balancer takes it
# back). Both processes read one clock, the kernel's monotonic one.
TAKE_WITHIN = 5.0  # seconds
RECEIPT_TIMEOUT = 7.0  # seconds

_HEAD = struct.Struct("!BH")
_JOIN = struct.Struct("!BI")
_LOAD = struct.Struct("!QI")
_SHARE = struct.Struct("!II")
_COUNT = struct.Struct("!I")
_GIVEN_AT = struct.Struct("!d")


class BrokenHandover(ShardLayerError):
    """The other end of a balancer's socket sent what it may not send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """A worker comes. `capacity` is how many connections it can hold; 0 is no limit of its own."""

    version: int = VERSION
    capacity: int
    name: str

    def pack(self) -> bytes:
        """Return the frame; a name that is too long is cut."""
        name = self.name.encode()[:MAX_NAME].decode(errors="ignore").encode()
        return _frame(1, _JOIN.pack(self.version, self.capacity) + name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A worker has taken so many connections since it joined, and holds so many.

    `silent` is how many of these wait for a request; workers of an earlier release don't say it.
    """

    taken: int
    held: int
    silent: int = 0

    def pack(self) -> bytes:
        """Return the frame."""
        return _frame(2, _LOAD.pack(self.taken, self.held) + _COUNT.pack(self.silent))


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a worker may hold: `capacity` connections (0: any number), `reserve` more for pages.

    `takes_back` is whether the balancer knows GIVE_BACK; older ones don't.
    """

    capacity: int
    reserve: int
    takes_back: bool = True

    def pack(self) -> bytes:
        """Return the frame."""
        share = _SHARE.pack(self.capacity, self.reserve)
        return _frame(3, share + b"\x01" if self.takes_back else share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """Connections for a worker, given at a time of the monotonic clock."""

    given_at: float
    families: bytes

    def pack(self) -> bytes:
        """Return the frame."""
        return _frame(4, _GIVEN_AT.pack(self.given_at) + self.families)


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveBack:
    """A worker does not take the next `count` connections that it was handed."""

    count: int

    def pack(self) -> bytes:
        """Return the frame."""
        return _frame(5, _COUNT.pack(self.count))


HandoverFrame = Join | Load | Share | Handover | GiveBack


def _frame(kind: int, payload: bytes) -> bytes:
    return _HEAD.pack(kind, len(payload)) + payload


def _join(payload: bytes) -> Join:
    version, capacity = _JOIN.unpack_from(payload)
    name = payload[_JOIN.size :].decode(errors="replace")
    return Join(version=version, capacity=capacity, name=name)


def _load(payload: bytes) -> Load:
    taken, held = _LOAD.unpack_from(payload)
    says_more = len(payload) >= _LOAD.size + _COUNT.size
    (silent,) = _COUNT.unpack_from(payload, _LOAD.size) if says_more else (0,)
    return Load(taken=taken, held=held, silent=silent)


def _share(payload: bytes) -> Share:
    capacity, reserve = _SHARE.unpack_from(payload)
    takes_back = payload[_SHARE.size : _SHARE.size + 1] == b"\x01"
    return Share(capacity=capacity, reserve=reserve, takes_back=takes_back)


def _handover(payload: bytes) -> Handover:
    (given_at,) = _GIVEN_AT.unpack_from(payload)
    return Handover(given_at=given_at, families=payload[_GIVEN_AT.size :])


def _give_back(payload: bytes) -> GiveBack:
    (count,) = _COUNT.unpack_from(payload)
    return GiveBack(count=count)


_UNPACK: dict[int, Callable[[bytes], HandoverFrame]] = {
    1: _join,
    2: _load,
    3: _share,
    4: _handover,
    5: _give_back,
}


class HandoverReader:
    """Puts frames together from what a stream brings."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> list[HandoverFrame]:
        """Return the frames that are complete now.

        Raises:
            BrokenHandover: A frame is too short for its kind, or longer than any may be.
        """
        data = self._data + data
        frames: list[HandoverFrame] = []
        start = 0
        while len(data) - start >= _HEAD.size:
            kind, length = _HEAD.unpack_from(data, start)
            if length > MAX_PAYLOAD:
                raise BrokenHandover(f"A frame of {length} bytes; {MAX_PAYLOAD} are allowed.")
            end = start + _HEAD.size + length
            if end > len(data):
                break
            unpack = _UNPACK.get(kind)
            if unpack is not None:
                try:
                    frames.append(unpack(data[start + _HEAD.size : end]))
                except struct.error as error:
                    raise BrokenHandover(f"A frame of kind {kind} is too short.") from error
            start = end
        self._data = data[start:]
        return frames
