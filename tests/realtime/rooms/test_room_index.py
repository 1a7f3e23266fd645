"""What a process keeps of all rooms while somebody looks at them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from weakref import ref

import pytest
from pytest_django import Settings

from demo.embedded import EmbeddedValkey, free_port
from realtime import apublish
from realtime.rooms import room_index as module
from realtime.rooms.room_index import (
    DEEPEST,
    FRESH,
    KEPT,
    KnownRoom,
    RoomIndex,
    Selection,
    rate_between,
    room_index,
)
from realtime.sharded_layer import sharded_layer
from shardlayer import RoomSummary, ShardedChannelLayer
from tests.realtime.client import RecordingSink
from tests.realtime.clock import FakeClock
from tests.realtime.conftest import PATIENT, channel_layers
from tests.waiting import PATIENCE, until


@pytest.fixture
def clock() -> FakeClock:
    """A clock that a test turns on."""
    return FakeClock()


@pytest.fixture
def index(redis_layer: ShardedChannelLayer, clock: FakeClock, settings: Settings) -> RoomIndex:
    """What is known of a layer on a real server."""
    settings.REALTIME = PATIENT
    return RoomIndex(redis_layer, clock=clock)


async def fill(*names: str) -> None:
    """Publish to rooms."""
    await asyncio.gather(*(apublish(name, 1) for name in names))


async def reported(layer: ShardedChannelLayer, room: str, members: int) -> bool:
    """Say whether Redis knows that so many are in a room: nodes report it after a while."""
    return (await layer.room_info(room)).members == members


def select(index: RoomIndex, **asked: object) -> Selection:
    """Return a page of what is known."""
    whole = {"prefix": "", "shard": None, "sort": "members", "page": 1, "size": 10} | asked
    return index.select(**whole)  # type: ignore[arg-type]


async def test_round_finds_every_room(index: RoomIndex) -> None:
    """After a round all rooms are known, each once."""
    names = {f"room.{number}" for number in range(300)}
    await fill(*names)
    await index.refresh(PATIENCE)
    assert index.is_whole
    assert set(index.rooms) == names
    assert select(index, size=500).total == 300


async def test_largest_rooms_come_first(index: RoomIndex, redis_layer: ShardedChannelLayer) -> None:
    """By members the fullest room is first, and those with as many go by name."""
    await fill("empty", "also-empty")
    node = await redis_layer.node()
    for room in ("small", *["large"] * 3):
        (await node.join(room, RecordingSink())).release()
    await until(lambda: reported(redis_layer, "large", 3))
    await index.refresh(PATIENCE)
    assert select(index).names == ["large", "small", "also-empty", "empty"]


async def test_busiest_rooms_come_first(index: RoomIndex, clock: FakeClock) -> None:
    """The rate is that between two rounds; before the second nobody knows it."""
    await fill("busy", "calm")
    await index.refresh(PATIENCE)
    assert index.rooms["busy"].rate is None
    await fill(*["busy"] * 20, "calm")
    clock.now += FRESH + 5
    await index.refresh(PATIENCE)
    assert index.rooms["busy"].rate == pytest.approx(20 / (FRESH + 5))
    assert select(index, sort="rate").names == ["busy", "calm"]


async def test_rooms_are_sought(index: RoomIndex, redis_layer: ShardedChannelLayer) -> None:
    """A beginning and a shard leave the rooms that fit."""
    await fill("chat.a", "chat.b", "news")
    await index.refresh(PATIENCE)
    assert select(index, prefix="chat.", sort="name").names == ["chat.a", "chat.b"]
    shard = redis_layer.shard_of("news")
    assert "news" in select(index, shard=shard).names
    assert "news" not in select(index, shard=(shard + 1) % 32).names


async def test_no_page_is_behind_the_last(index: RoomIndex) -> None:
    """The last page is full or has the rest; whoever asks for a later one gets it."""
    await fill(*(f"room.{number:02}" for number in range(20)))
    await index.refresh(PATIENCE)
    assert select(index, sort="name", page=2).pages == 2
    late = select(index, sort="name", page=99)
    assert late.page == 2
    assert late.names == [f"room.{number}" for number in range(10, 20)]
    assert select(index, prefix="none") == Selection(names=[], total=0, page=1, pages=1)


async def test_rooms_that_are_gone_go(
    index: RoomIndex, redis_layer: ShardedChannelLayer, clock: FakeClock
) -> None:
    """The next round forgets what it does not find, and what is fresh is not looked for."""
    await fill("old")
    await index.refresh(PATIENCE)
    await redis_layer.flush()
    await fill("new")
    await index.refresh(PATIENCE)
    assert set(index.rooms) == {"old"}
    clock.now += FRESH + 5
    await index.refresh(PATIENCE)
    assert set(index.rooms) == {"new"}


async def test_no_more_rooms_than_may_be_are_kept(index: RoomIndex, settings: Settings) -> None:
    """Past ADMIN_MAX_ROOMS no room is kept, and it is known that there are more."""
    settings.REALTIME = {"ADMIN_MAX_ROOMS": 5}
    await fill(*(f"room.{number}" for number in range(20)))
    await index.refresh(PATIENCE)
    assert len(index.rooms) == 5
    assert index.is_cut
    assert index.is_whole


async def test_what_nobody_asks_for_is_forgotten(index: RoomIndex, clock: FakeClock) -> None:
    """After ten minutes the rooms are given up."""
    await fill("room")
    await index.refresh(PATIENCE)
    clock.now += KEPT / 2
    index.look_back()
    assert index.rooms
    clock.now += KEPT
    index.look_back()
    assert not index.rooms
    assert index.age is None


async def test_round_goes_on_where_it_was_left(
    index: RoomIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who can't wait gets a part, and the next one goes on with it."""
    monkeypatch.setattr(module, "SCANNED", 10)
    await fill(*(f"room.{number}" for number in range(100)))
    await index.refresh(0)
    assert index.age is None
    for _ in range(100):
        await index.refresh(0)
    assert index.is_whole
    assert len(index.rooms) == 100


async def test_first_step_finds_rooms(index: RoomIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is not empty though it can wait for one step only."""
    monkeypatch.setattr(module, "SCANNED", 50)
    await fill(*(f"room.{number}" for number in range(100)))
    await index.refresh(0)
    assert not index.is_whole
    assert index.rooms


async def test_two_do_not_do_it_twice(index: RoomIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes while another looks waits for that one."""
    await fill("room")
    calls = 0
    ping = ShardedChannelLayer.ping

    async def counted(layer: ShardedChannelLayer, within: float) -> object:
        nonlocal calls
        calls += 1
        return await ping(layer, within)

    monkeypatch.setattr(ShardedChannelLayer, "ping", counted)
    await asyncio.gather(index.refresh(PATIENCE), index.refresh(PATIENCE))
    assert calls == 1
    assert index.is_whole


@pytest.fixture
async def half_dead(settings: Settings, redis_server: EmbeddedValkey) -> AsyncIterator[str]:
    """A layer on a server that answers and on one that does not: its address."""
    settings.REALTIME = PATIENT
    address = f"127.0.0.1:{free_port()}"
    settings.CHANNEL_LAYERS = channel_layers(
        hosts=[redis_server.url, f"redis://{address}"], publish_timeout=5.0
    )
    yield address
    await sharded_layer().close()


async def test_dead_server_is_named(half_dead: str) -> None:
    """The rooms of the others are found, and it is said whose are not."""
    layer = sharded_layer()
    alive = next(name for name in map(str, range(99)) if layer.shard_of(name) % 2 == 0)
    await apublish(alive, 1)
    index = RoomIndex(layer)
    await index.refresh(PATIENCE)
    assert half_dead in str(index.silent)
    assert alive in index.rooms


async def test_rooms_of_a_dead_server_are_not_gone(
    half_dead: str, index: RoomIndex, clock: FakeClock
) -> None:
    """A round that could not ask everybody forgets nothing."""
    await fill("room")
    await index.refresh(PATIENCE)
    dead = sharded_layer()
    index._layer_ref = ref(dead)
    clock.now += FRESH + 5
    await index.refresh(PATIENCE)
    assert "room" in index.rooms


@pytest.mark.parametrize(
    ("offset", "epoch", "passed", "rate"),
    [
        (30, "aaaaaaaa", 10.0, 2.0),
        (30, "bbbbbbbb", 10.0, None),  # another count
        (9, "aaaaaaaa", 10.0, None),  # it went back
        (2**40, "aaaaaaaa", 10.0, None),  # it leapt over what may be lost
        (30, "aaaaaaaa", 600.0, None),  # long ago
    ],
)
def test_rate_is_of_one_count(offset: int, epoch: str, passed: float, rate: float | None) -> None:
    """Offsets of two counts make no rate."""
    before = KnownRoom(0, 0, 10, "aaaaaaaa", None, None, 100.0)
    after = RoomSummary("room", 0, 0, 0, 0, offset, epoch, None)
    assert rate_between(before, after, 100.0 + passed) == rate


def test_order_ends_somewhere(settings: Settings) -> None:
    """Nobody turns ten thousand pages: so many rooms are put in order, and all are counted."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=["memory://order"])
    index = RoomIndex(sharded_layer())
    index.rooms = {str(n): KnownRoom(0, n, 0, "", None, None, 0.0) for n in range(DEEPEST + 50)}
    found = select(index, page=10**9, size=100)
    assert (found.total, found.pages) == (DEEPEST + 50, DEEPEST // 100)


async def test_order_is_that_of_the_last_round(index: RoomIndex, clock: FakeClock) -> None:
    """It is kept from look to look, for pages further down as well, and made anew by a round."""
    await fill("b", "c")
    await index.refresh(PATIENCE)
    assert select(index, sort="name", size=1).names == ["b"]
    assert select(index, sort="name", size=1, page=2).names == ["c"]
    await fill("a")
    assert select(index, sort="name", size=1).names == ["b"]
    clock.now += FRESH + 5
    await index.refresh(PATIENCE)
    assert select(index, sort="name", size=1).names == ["a"]
    assert select(index, sort="name", size=1, page=3).names == ["c"]


def test_layer_has_one_index(settings: Settings) -> None:
    """All pages of a process share what it knows."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=["memory://index"])
    layer = sharded_layer()
    assert room_index(layer) is room_index(layer)
