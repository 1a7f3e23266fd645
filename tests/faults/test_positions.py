"""What got lost on its way to a node is found although nothing follows it, and healed or told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest
from redis import Redis

from demo.embedded import EmbeddedValkey
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.core import wire
from shardlayer.core.options import PREFIX, SHARDS
from shardlayer.core.sharding import hash_tags
from shardlayer.layer import ShardedChannelLayer
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import until

ROOM = "general"
INTERVAL = 0.2  # seconds


@pytest.fixture
async def layer(redis_server: EmbeddedValkey) -> AsyncIterator[ShardedChannelLayer]:
    made = ShardedChannelLayer(
        hosts=[redis_server.url],
        position_check_interval=INTERVAL,
        history={"plain.*": None, "*": {"size": 300, "ttl": 60}},
    )
    yield made
    await made.close()


async def join(layer: ShardedChannelLayer, room: str = ROOM) -> RecordingSink:
    sink = RecordingSink()
    (await (await layer.node()).join(room, sink)).release()
    return sink


def received(sink: RecordingSink) -> list[object]:
    pushes = map(orjson.loads, sink.texts)
    return ["reset" if "reset" in push else push["data"] for push in pushes]


def keys_of(layer: ShardedChannelLayer, room: str = ROOM) -> ShardKeys:
    return ShardKeys(hash_tags(PREFIX, SHARDS)[layer.shard_of(room)])


def overwrite(redis: Redis, keys: ShardKeys, *, offset: int | None = None, epoch: str = "") -> None:
    """Write over where the room stands, which is `OFFSET EPOCH LIFE` with one digit of offset."""
    if offset is not None:
        redis.setrange(keys.meta(ROOM), 0, str(offset))
    if epoch:
        redis.setrange(keys.meta(ROOM), 2, epoch)


def append_unheard(redis: Redis, keys: ShardKeys, *offsets: int) -> None:
    """Publish to a room, but tell no node: as if the message had been lost on its way."""
    for offset in offsets:
        body = wire.pack_body(wire.Kind.PUBLICATION, ROOM, b"%d" % offset)
        redis.xadd(keys.history(ROOM), {"p": body}, id=f"{offset}-0")
        overwrite(redis, keys, offset=offset)


async def test_last_message_that_was_lost_is_found(
    layer: ShardedChannelLayer, redis_server: EmbeddedValkey
) -> None:
    """Nothing comes after it to show the gap: the check does, and history fills it."""
    sink = await join(layer)
    await layer.publish(ROOM, b"1")
    await until(lambda: received(sink) == [1])
    with Redis.from_url(redis_server.url) as redis:
        append_unheard(redis, keys_of(layer), 2, 3)
    await until(lambda: len(sink.texts) == 3)
    await layer.publish(ROOM, b"4")
    await until(lambda: received(sink) == [1, 2, 3, 4])
    assert layer.stats()["gaps_found"] == 1


async def test_what_is_gone_for_good_is_told(
    layer: ShardedChannelLayer, redis_server: EmbeddedValkey
) -> None:
    """Where the history does not reach back far enough the members get a reset before the rest."""
    sink = await join(layer)
    await layer.publish(ROOM, b"1")
    await until(lambda: received(sink) == [1])
    with Redis.from_url(redis_server.url) as redis, redis.pipeline() as at_once:
        append_unheard(at_once, keys_of(layer), 2, 3)
        at_once.xdel(keys_of(layer).history(ROOM), "2-0")
        at_once.execute()
    await until(lambda: len(sink.texts) == 3)
    assert received(sink) == [1, "reset", 3]


@pytest.mark.parametrize("loss", ["epoch", "offset", "all"])
async def test_redis_that_lost_what_members_have(
    layer: ShardedChannelLayer, redis_server: EmbeddedValkey, loss: str
) -> None:
    """Another epoch, or a smaller offset: members are told, and in one epoch get nothing twice."""
    sink = await join(layer)
    await layer.publish(ROOM, b"1")
    await layer.publish(ROOM, b"2")
    await until(lambda: received(sink) == [1, 2])
    keys = keys_of(layer)
    with Redis.from_url(redis_server.url) as redis:
        if loss == "epoch":
            overwrite(redis, keys, epoch="k9k9k9k9")
        elif loss == "offset":
            with redis.pipeline() as at_once:
                overwrite(at_once, keys, offset=1)
                at_once.delete(keys.history(ROOM))
                body = wire.pack_body(wire.Kind.PUBLICATION, ROOM, b"1")
                at_once.xadd(keys.history(ROOM), {"p": body}, id="1-0")
                at_once.execute()
        else:
            redis.delete(keys.meta(ROOM), keys.history(ROOM))
    await until(lambda: "reset" in received(sink))
    await layer.publish(ROOM, b"3")
    await until(lambda: received(sink)[-1] == 3)
    after = received(sink)[received(sink).index("reset") + 1 :]
    assert after == {"epoch": [1, 2, 3], "offset": [3], "all": [3]}[loss]


async def test_busy_room_has_no_gap(layer: ShardedChannelLayer) -> None:
    """What is on its way while a room is checked is not missing."""
    sink = await join(layer)
    count = 0
    async with asyncio.timeout(60):
        for _ in range(150):
            await layer.publish_many([(ROOM, b"%d" % number) for number in range(count, count + 5)])
            count += 5
            await asyncio.sleep(0.01)
    await until(lambda: len(sink.texts) == count)
    assert received(sink) == list(range(count))
    assert layer.stats()["gaps_found"] == 0


async def test_rooms_of_a_shard_ask_together(
    layer: ShardedChannelLayer, redis_server: EmbeddedValkey
) -> None:
    """However many rooms: a call for a few hundred of them, none for those without history."""
    shard = layer.shard_of(ROOM)
    names = (f"{kind}.{number}" for kind in ("room", "plain") for number in range(20_000))
    of_shard = [name for name in names if layer.shard_of(name) == shard]
    plain = [name for name in of_shard if name.startswith("plain")][:50]
    rooms = [name for name in of_shard if name.startswith("room")][:250]
    for name in plain + rooms:
        await join(layer, name)
    node = await layer.node()
    await node._checks.aclose()
    await node._leases.aclose()
    with Redis.from_url(redis_server.url) as redis:

        def calls() -> tuple[int, int]:
            stats = redis.info("commandstats")
            prolonged = stats.get("cmdstat_pexpire", {"calls": 0})  # once for each room asked for
            return stats["cmdstat_evalsha"]["calls"], prolonged["calls"]

        before = calls()
        await node._checks.check(shard)
        after = calls()
    scripts, asked = (there - here for there, here in zip(after, before, strict=True))
    assert asked == len(rooms)
    assert 2 <= scripts < 10  # something else may be asked meanwhile
