"""The log as a node follows it: what it hears, what it reads, and what a loss does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import orjson
import pytest
from redis import Redis

from demo.embedded import EmbeddedValkey
from realtime.access.credential import Credential
from realtime.access.revocation_log import RevocationLog
from realtime.access.revocations import (
    CLOCK_SKEW,
    MAX_REVOCATIONS,
    RemovalsForgotten,
    Revocation,
    Verdict,
)
from realtime.connections import adisconnect, aunsubscribe
from realtime.rooms.room_names import CONTROL_ROOM, REMOVALS_ROOM
from shardlayer import Position, ShardedChannelLayer
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.core.options import PREFIX, SHARDS
from shardlayer.core.sharding import hash_tags
from tests.waiting import PATIENCE

LEAP = 2**40  # offsets


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.01)


class Follower:
    """A log with what it told."""

    def __init__(self, log: RevocationLog, told: list[Revocation]) -> None:
        self.log = log
        self.told = told

    def verdict(self, issued: float, user: str = "7") -> Verdict:
        return self.log.judge(Credential(method="token", user_id=user, issued=issued))


@asynccontextmanager
async def following(layer: ShardedChannelLayer) -> AsyncIterator[Follower]:
    """Follow the log on a layer's node, until the block ends."""
    told: list[Revocation] = []
    tasks = layer.branch_tasks()
    log = RevocationLog(
        layer,
        await layer.node(),
        tasks=tasks,
        lifetime=3_600,
        listener=lambda entry, _: told.append(entry),
    )
    try:
        assert await log.settled(PATIENCE)
        yield Follower(log, told)
    finally:
        await log.aclose()
        await tasks.aclose()


@pytest.fixture(params=["memory_layer", "redis_layer"])
def layer(request: pytest.FixtureRequest) -> ShardedChannelLayer:
    """A layer in memory, and one on a real server."""
    made: ShardedChannelLayer = request.getfixturevalue(request.param)
    return made


async def test_hears_what_is_published(layer: ShardedChannelLayer) -> None:
    """A revocation is heard at once, and judges what was issued before."""
    before = time.time()
    async with following(layer) as follower:
        assert follower.verdict(time.time() + 5) is Verdict.COUNTS
        await adisconnect(7)
        await aunsubscribe(8, "orders")
        await until(lambda: len(follower.told) == 2)
        assert follower.verdict(before) is Verdict.REVOKED
        assert [(entry.user, entry.room) for entry in follower.told] == [("7", ""), ("8", "orders")]
        assert not follower.log.known.opens(Credential(user_id="8", issued=before), "orders")


async def test_says_how_far_it_has_heard(layer: ShardedChannelLayer) -> None:
    """From its reading on, by each entry, rubbish too; two that follow say the same."""
    async with following(layer) as one, following(layer) as other:
        logs = one.log, other.log
        await adisconnect(7)
        await layer.publish_reserved(CONTROL_ROOM, b'"x"')
        await aunsubscribe(8, "orders")
        await until(lambda: all(log.heard is not None and log.heard.offset == 4 for log in logs))
        assert one.log.heard == other.log.heard
    async with following(layer) as later:
        assert later.log.heard == one.log.heard


async def test_listener_is_done_with_what_was_heard(layer: ShardedChannelLayer) -> None:
    """It may do it a turn of the loop later: no note is written in between that knows better."""
    tasks = layer.branch_tasks()
    seen: list[Position | None] = []

    def listen(entry: Revocation, skew: float) -> None:
        asyncio.get_running_loop().call_soon(lambda: seen.append(log.heard))

    log = RevocationLog(layer, await layer.node(), tasks=tasks, lifetime=3_600, listener=listen)
    try:
        assert await log.settled(PATIENCE)
        await adisconnect(7)
        await until(lambda: bool(seen))
        (before,) = seen
        assert before is not None
        assert before.offset < 2  # the log's beginning is its first entry
    finally:
        await log.aclose()
        await tasks.aclose()


async def test_note_of_a_deaf_worker(layer: ShardedChannelLayer) -> None:
    """It is judged by what its writer had heard, also by a worker that reads the log later."""
    async with following(layer) as follower:
        await until(lambda: follower.log.heard is not None and follower.log.heard.offset == 1)
        heard = follower.log.heard  # where the log begins
        await adisconnect(7)
        await until(lambda: follower.log.heard != heard)
        await until(lambda: follower.verdict(time.time()) is Verdict.COUNTS)
        note = Credential(method="session", user_id="7", issued=time.time())
        assert follower.log.judge(note, heard) is Verdict.REVOKED
        assert follower.log.judge(note, follower.log.heard) is Verdict.COUNTS
    async with following(layer) as later:
        assert later.log.judge(note, heard) is Verdict.REVOKED
        assert later.log.judge(note, later.log.heard) is Verdict.COUNTS


async def test_count_that_leapt_is_told_by_who_starts_later(
    redis_layer: ShardedChannelLayer, redis_server: EmbeddedValkey
) -> None:
    """After a restart of Redis that lost nothing, notes of workers from before still count."""
    later_layer = ShardedChannelLayer(hosts=[redis_server.url])
    async with following(redis_layer) as before:
        shard = redis_layer.shard_of(CONTROL_ROOM)
        with Redis.from_url(redis_server.url) as redis:
            redis.set(ShardKeys(hash_tags(PREFIX, SHARDS)[shard]).life, "another")
        async with following(later_layer) as later:
            await until(lambda: before.log.heard is not None and before.log.heard.offset > LEAP)
            note = Credential(method="session", user_id="7", issued=time.time() + CLOCK_SKEW)
            assert later.log.judge(note, before.log.heard) is Verdict.COUNTS
    await later_layer.close()


async def publish_entries(layer: ShardedChannelLayer, entries: Sequence[bytes]) -> None:
    """Publish entries to the log, in their order, together."""
    await asyncio.gather(*(layer.publish_reserved(CONTROL_ROOM, entry) for entry in entries))


async def test_node_that_starts_later_knows(layer: ShardedChannelLayer) -> None:
    """What was published before a node began is read from the history, however much it is."""
    async with following(layer):
        pass
    await asyncio.sleep(CLOCK_SKEW)  # past the beginning of the log
    issued = time.time()
    entries = [
        orjson.dumps(Revocation(at=issued, user=f"{n}-{'x' * 99}").to_json()) for n in range(3_000)
    ]
    for start in range(0, len(entries), 250):  # each part has its own time to be published in
        await publish_entries(layer, entries[start : start + 250])
    await adisconnect(7)
    async with following(layer) as follower:
        assert follower.verdict(issued) is Verdict.REVOKED
        assert follower.verdict(issued, user="9") is Verdict.COUNTS
        assert sum(entry.user.endswith("x") for entry in follower.told) == 3_000
        assert follower.verdict(time.time() + 5) is Verdict.COUNTS


async def test_log_that_was_trimmed_says_so(
    layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what was issued before the oldest entry that is left nothing is known."""
    monkeypatch.setattr("realtime.access.revocation_log.MAX_REVOCATIONS", 50)
    began = time.time()
    entries = [
        orjson.dumps(Revocation(at=began + n / 100, user=f"u{n}").to_json()) for n in range(1_000)
    ]
    await publish_entries(layer, entries)
    async with following(layer) as follower:
        assert 50 <= len(follower.told) < 1_000
        oldest = follower.told[0].at
        assert follower.verdict(oldest - 1) is Verdict.UNKNOWN
        assert follower.verdict(oldest + 2 * CLOCK_SKEW) is Verdict.COUNTS
        heard = follower.log.heard
        assert heard is not None
        note = Credential(method="token", user_id="7", issued=oldest + 2 * CLOCK_SKEW)
        assert follower.log.judge(note, heard) is Verdict.COUNTS
        lost = heard._replace(offset=heard.offset - len(follower.told) - 1)
        assert follower.log.judge(note, lost) is Verdict.UNKNOWN
        assert follower.log.judge(note, lost._replace(offset=lost.offset + 1)) is Verdict.COUNTS


async def test_new_log_knows_nothing_of_before(layer: ShardedChannelLayer) -> None:
    """Where there is no log it may have been lost: what was issued before is not judged."""
    issued = time.time()
    async with following(layer) as follower:
        assert follower.verdict(issued - 1) is Verdict.UNKNOWN
        assert follower.verdict(time.time() + 5) is Verdict.COUNTS
    async with following(layer) as later:
        assert later.verdict(issued - 1) is Verdict.UNKNOWN
        assert later.verdict(time.time() + 5) is Verdict.COUNTS


async def test_rubbish_is_left_out(layer: ShardedChannelLayer) -> None:
    """What is no revocation is logged and changes nothing."""
    async with following(layer) as follower:
        for data in (b"1", b'"x"', b"[]", b'{"at":null}', b'{"at":1e999}'):
            await layer.publish_reserved(CONTROL_ROOM, data)
        await adisconnect(7)
        await until(lambda: bool(follower.told))
        assert [entry.user for entry in follower.told] == ["7"]


async def test_lost_history_is_noticed(
    redis_layer: ShardedChannelLayer, redis_server: EmbeddedValkey
) -> None:
    """A Redis that comes back empty costs what was issued before, not what comes later."""
    async with following(redis_layer) as follower:
        await adisconnect(7)
        await until(lambda: bool(follower.told))
        assert follower.verdict(time.time() + 5) is Verdict.COUNTS
        heard = follower.log.heard
        redis_server.stop()
        await until(lambda: follower.verdict(time.time() + 5) is Verdict.UNKNOWN)
        redis_server.start()
        await until(lambda: follower.verdict(time.time() + 5) is Verdict.COUNTS)
        assert follower.verdict(time.time() - 60, user="8") is Verdict.UNKNOWN
        note = Credential(method="session", user_id="8", issued=time.time() + 5)
        await until(lambda: follower.log.judge(note, heard) is Verdict.UNKNOWN)
        await until(lambda: follower.log.judge(note, follower.log.heard) is Verdict.COUNTS)
        await adisconnect(9)
        await until(lambda: "9" in [entry.user for entry in follower.told])


async def test_removals_outlive_the_log(layer: ShardedChannelLayer) -> None:
    """Who was put out of a room is known where the log has it no more, on workers to come, too."""
    before = Credential(user_id="8", issued=time.time())
    await aunsubscribe(8, "orders")
    await layer.clear_history(CONTROL_ROOM)
    async with following(layer) as follower:
        assert not follower.told
        assert not follower.log.known.opens(before, "orders")
        assert follower.log.known.opens(before, "news")
        assert follower.log.known.opens(Credential(user_id="9", issued=0.1 + time.time()), "orders")
        assert follower.log.known.opens(Credential(user_id="9", issued=before.issued), "orders")


async def test_removals_that_were_trimmed(
    layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was issued before the oldest that is left opens nothing; rubbish changes nothing."""
    monkeypatch.setattr("realtime.access.removals_log.MAX_REVOCATIONS", 50)
    began = time.time() - 1_000
    entries = [
        Revocation(at=began + number, user=f"u{number}", room="orders") for number in range(500)
    ]
    for entry in entries:
        await layer.publish_reserved(REMOVALS_ROOM, orjson.dumps(entry.to_json()))
    for data in (b"1", b"[]", b'{"at":1e999}'):
        await layer.publish_reserved(REMOVALS_ROOM, data)
    async with following(layer) as follower:
        known = follower.log.known
        left = len(known)
        assert 40 <= left < 500
        oldest = began + 500 - left
        with pytest.raises(RemovalsForgotten):
            known.opens(Credential(user_id="7", issued=oldest - 1), "orders")
        assert known.opens(Credential(user_id="7", issued=oldest + 2 * CLOCK_SKEW), "orders")


async def test_log_full_of_what_has_ended(redis_layer: ShardedChannelLayer) -> None:
    """Of months, by a worker that starts, and again after a loss: today's removals hold, too."""
    now, day = time.time(), 86_400.0
    count = MAX_REVOCATIONS + 500
    entries = [
        Revocation(at=now - 100 * day + n * 95 * day / count, user=f"old-{n}", room="chat")
        for n in range(count)
    ]
    for start in range(0, count, 100):  # each part has its own time to be published in
        await asyncio.gather(
            *(layer_tells(redis_layer, entry) for entry in entries[start : start + 100])
        )
    await aunsubscribe(8, "orders")
    async with following(redis_layer) as follower:
        known, removals = follower.log.known, follower.log._removals
        out = Credential(user_id="8", issued=now - 20 * 3_600)
        for _ in range(2):
            assert len(known) == 1
            assert not known.opens(out, "orders")
            assert known.opens(out, "news")
            await removals._read(await redis_layer.node())


async def test_removals_are_heard_after_a_loss(
    redis_layer: ShardedChannelLayer, redis_server: EmbeddedValkey
) -> None:
    """While Redis is away counts what was read; a new log goes on with what comes."""
    before = Credential(user_id="8", issued=time.time())
    async with following(redis_layer) as follower:
        await aunsubscribe(8, "orders")
        known = follower.log.known
        await until(lambda: not known.opens(before, "orders"))
        redis_server.stop()
        await until(lambda: follower.verdict(time.time() + 5) is Verdict.UNKNOWN)
        assert not known.opens(before, "orders")
        assert known.opens(before, "news")
        redis_server.start()
        await until(lambda: follower.verdict(time.time() + 5) is Verdict.COUNTS)
        await layer_tells(redis_layer, Revocation(at=time.time(), user="8", room="news"))
        await until(lambda: not known.opens(before, "news"))
        assert not known.opens(before, "orders")


async def layer_tells(layer: ShardedChannelLayer, entry: Revocation) -> None:
    """Tell the log of removals alone."""
    await layer.publish_reserved(REMOVALS_ROOM, orjson.dumps(entry.to_json()))
