"""Rooms whose members take compressed frames, and those that also have others."""

from __future__ import annotations

from shardlayer.core.client_names import without
from shardlayer.core.compression import Compression
from shardlayer.core.frames import Broadcast
from shardlayer.core.types import Position, Publication, Sink
from shardlayer.delivery.exclusions import Exclusions
from shardlayer.delivery.hub import Hub
from shardlayer.delivery.room import LocalRoom
from tests.shardlayer.core.test_compression import frames_of
from tests.shardlayer.delivery.test_hub import EPOCH, HubUnderTest, answer

COMPRESSION = Compression(min_size=100, min_clients=2)
DATA = b'"%b"' % (b"news " * 100)


class WireSink:
    """What a client of our server is sent, byte by byte."""

    def __init__(self, compression: Compression | None = COMPRESSION) -> None:
        self.compression = compression
        self.sent: list[bytes] = []
        self.is_broken = False

    def send_frames(self, frames: bytes) -> int:
        if self.is_broken:
            raise ConnectionResetError
        self.sent.append(frames)
        return len(frames)

    def write(self, broadcast: Broadcast) -> None:
        compressed = broadcast.compressed if self.compression else None
        self.send_frames(broadcast.frames if compressed is None else compressed)

    def settle(self, frames: bytes, sent: int, error: Exception | None) -> None:
        if error is not None:
            raise error

    def close(self, code: int, reason: str = "") -> None:
        pass

    @property
    def are_compressed(self) -> list[bool]:
        """Of each message, whether it came compressed."""
        return [compressed for frames in self.sent for compressed, _ in frames_of(frames)]

    @property
    def texts(self) -> list[bytes]:
        """The messages."""
        return [text for frames in self.sent for _, text in frames_of(frames)]


def publications(*offsets: int) -> list[Publication]:
    return [Publication("general", DATA, offset, EPOCH) for offset in offsets]


def enter(hub: Hub, room: LocalRoom, *sinks: Sink) -> None:
    for sink in sinks:
        hub.join(room, sink).open(room.position)


def published(hub: HubUnderTest, *offsets: int) -> None:
    hub.feed(publications(*offsets))
    list(hub.deliver())


def test_members_get_what_they_take() -> None:
    """One broadcast, compressed once; who has not agreed to that gets the plain frames of it."""
    hub = HubUnderTest()
    room = hub.live_room()
    first, second, plain = WireSink(), WireSink(), WireSink(None)
    enter(hub, room, first, plain, second)
    published(hub, 1)  # through their gates
    published(hub, 2, 3)
    for sink in (first, second):
        assert sink.are_compressed == [True] * 3
        assert sink.texts == plain.texts
    assert first.sent[-1] is second.sent[-1]
    assert plain.are_compressed == [False] * 3
    assert len(plain.sent) == 2  # what was joined came in one write
    assert hub.delivered == 9
    saved = sum(map(len, plain.sent)) * 2 - sum(map(len, first.sent + second.sent))
    assert saved > 0
    assert hub.saved_bytes == saved  # what went through gates too
    everything = first.sent + second.sent + plain.sent
    assert hub.written_bytes == sum(map(len, everything))


def test_few_are_not_worth_it() -> None:
    """While fewer than `min_clients` are in the room, all get plain frames."""
    hub = HubUnderTest()
    room = hub.live_room()
    first, second, plain = WireSink(), WireSink(), WireSink(None)
    enter(hub, room, first, second, plain)
    published(hub, 1)
    hub.leave("general", second)
    published(hub, 2)
    enter(hub, room, second)
    published(hub, 3)
    assert first.are_compressed == [True, False, True]
    assert plain.are_compressed == [False] * 3
    assert room.compressing == 2


def test_who_joins_twice_or_fails_is_counted_once() -> None:
    """The count is of members."""
    hub = HubUnderTest()
    room = hub.live_room()
    first, second, broken = WireSink(), WireSink(), WireSink()
    enter(hub, room, first, first, second, broken)
    published(hub, 1)
    assert room.compressing == 3
    broken.is_broken = True
    published(hub, 2)
    assert room.compressing == 2
    for sink in (first, first, second, broken):
        hub.leave("general", sink)
    assert (room.compressing, hub.members) == (0, 0)
    assert first.texts == second.texts
    assert len(first.texts) == 2


def test_resets_and_what_was_missed() -> None:
    """What a room heals by is compressed like everything else, in order."""
    hub = HubUnderTest()
    room = hub.live_room()
    first, second, plain = WireSink(), WireSink(), WireSink(None)
    enter(hub, room, first, second, plain)
    published(hub, 1)
    published(hub, 4)  # a gap
    assert hub.gaps == [room]
    hub.ask(room)
    hub.admit(room, answer(4, *publications(2, 3, 4)))
    list(hub.deliver())
    published(hub, 5)
    hub.miss(room)
    hub.ask(room)
    hub.admit(room, answer(1, epoch="another", recovered=False))
    list(hub.deliver())
    assert room.position == Position(1, "another")
    assert first.texts == second.texts == plain.texts
    assert len(plain.texts) == 6
    assert first.are_compressed == [True] * 5 + [False]  # a reset is short
    assert plain.are_compressed == [False] * 6


def test_one_that_does_not_get_it() -> None:
    """A publication without its publisher is compressed for the others."""
    publisher, first, second, plain = WireSink(), WireSink(), WireSink(), WireSink(None)
    hub = HubUnderTest()
    hub._exclusions = Exclusions({"me": publisher})
    room = hub.live_room()
    enter(hub, room, publisher, first, second, plain)
    published(hub, 1)
    hub.feed([Publication(without("general", "me"), DATA, 2, EPOCH)])
    list(hub.deliver())
    assert first.are_compressed == second.are_compressed == [True, True]
    assert publisher.are_compressed == [True, False]
    assert publisher.texts[1] == b'{"room":"general","offset":2}'
    assert plain.texts == first.texts
