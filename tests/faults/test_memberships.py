"""Another process puts channels in groups, and out, while their own can't hear of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from redis import Redis

from demo.embedded import EmbeddedValkey
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.options import PREFIX, SHARDS
from shardlayer.core.sharding import hash_tags
from shardlayer.layer import ShardedChannelLayer
from tests.waiting import PATIENCE, until, wait_until

pytestmark = pytest.mark.slow

LEASE = 1.0  # seconds
LATER = 3.0  # seconds: longer than a server takes to tell its clock, in one of three tries
GROUPS = [f"g{number}" for number in range(20)]  # on many shards
TAGS = hash_tags(PREFIX, SHARDS)

Result = TypeVar("Result")


class Owner:
    """A layer in an event loop of its own, which can be made to stand still.

    Attributes:
        channel: One of its channels.
        node: Its node's id.
    """

    def __init__(self, url: str, **config: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._goes_on = threading.Event()
        self.layer = ShardedChannelLayer(hosts=[url], capacity=1_000, **config)
        self.channel = self.run(self.layer.new_channel())
        self.node = self.run(self.layer.node()).id

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    def freeze(self) -> None:
        self._goes_on.clear()
        self._loop.call_soon_threadsafe(self._goes_on.wait)

    def thaw(self) -> None:
        self._goes_on.set()

    async def received(self) -> list[str]:
        """Return the messages that come until `end`."""
        found: list[str] = []
        while not found or found[-1] != "end":
            message = await asyncio.wait_for(self.layer.receive(self.channel), PATIENCE)
            found.append(message["content"])
        return found[:-1]

    def stop(self) -> None:
        self.thaw()
        self.run(self.layer.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()


MakeOwner = Callable[..., Owner]


@pytest.fixture
async def make_owner(redis_server: EmbeddedValkey) -> AsyncIterator[MakeOwner]:
    """Starts owners of channels, and ends them after the test."""
    owners: list[Owner] = []

    def make(**config: Any) -> Owner:
        owners.append(Owner(redis_server.url, **config))
        return owners[-1]

    yield make
    for owner in owners:
        await asyncio.to_thread(owner.stop)


@pytest.fixture
async def other(redis_server: EmbeddedValkey) -> AsyncIterator[ShardedChannelLayer]:
    """Another process, which has no channels."""
    layer = ShardedChannelLayer(hosts=[redis_server.url], lease_ttl=LEASE)
    yield layer
    await layer.close()


def message(content: str) -> dict[str, str]:
    return {"type": "m", "content": content}


async def each(call: Callable[[str, str], Awaitable[None]], channel: str) -> None:
    await asyncio.gather(*(call(group, channel) for group in GROUPS))


async def sizes(layer: ShardedChannelLayer) -> list[int]:
    return list(await asyncio.gather(*map(layer.group_size, GROUPS)))


async def are_members(layer: ShardedChannelLayer, count: int) -> None:
    """Wait until each group has so many channels."""

    async def settled() -> bool:
        return await sizes(layer) == [count] * len(GROUPS)

    await until(settled)


def cut_off(redis: Redis) -> None:
    redis.client_kill_filter(_type="pubsub")


def has_no_lease(redis: Redis, node: str) -> bool:
    ends = [redis.zscore(ShardKeys(tag).alive, node) for tag in TAGS]
    return all(at is None or at / 1e3 < time.time() for at in ends)


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("lapses", [False, True])
async def test_owner_that_stands_still(
    redis_server: EmbeddedValkey,
    make_owner: MakeOwner,
    other: ShardedChannelLayer,
    cut: bool,
    lapses: bool,
) -> None:
    """It was out of its groups, and in others, before it delivers what was sent then."""
    owner = make_owner(lease_ttl=LEASE if lapses else 600.0)
    await asyncio.to_thread(owner.run, each(owner.layer.group_add, owner.channel))
    with Redis.from_url(redis_server.url) as redis:
        owner.freeze()
        if lapses:
            await asyncio.to_thread(wait_until, lambda: has_no_lease(redis, owner.node))
        if cut:
            cut_off(redis)
        await each(other.group_discard, owner.channel)
        await other.group_add("new", owner.channel)
        owner.thaw()
        await asyncio.gather(*(other.group_send(group, message("secret")) for group in GROUPS))
        await are_members(other, 0)

        async def is_added() -> bool:
            return await other.group_members("new") == [owner.channel]

        await until(is_added)
    await asyncio.gather(*(other.group_send(group, message("secret")) for group in GROUPS))
    await other.group_send("new", message("for new"))
    await asyncio.sleep(LEASE)  # in which whatever was sent could have come
    await other.group_send("new", message("end"))
    assert await asyncio.to_thread(owner.run, owner.received()) == ["for new"]


async def test_owner_whose_subscription_is_cut(
    redis_server: EmbeddedValkey, make_owner: MakeOwner, other: ShardedChannelLayer
) -> None:
    """Nothing is lost of what it is told meanwhile, again and again."""
    owner = make_owner()
    with Redis.from_url(redis_server.url) as redis:
        for _ in range(3):
            cut_off(redis)
            await each(other.group_add, owner.channel)
            await are_members(other, 1)
            cut_off(redis)
            await each(other.group_discard, owner.channel)
            await are_members(other, 0)
        kept = [f"{{{tag}}}:orders:{owner.node}" for tag in TAGS]
        await until(lambda: not redis.exists(*kept))


class Way:
    """The way to a server, which opens and is cut when it is told to."""

    def __init__(self, server: EmbeddedValkey) -> None:
        self._there = urlsplit(server.url)
        self._is_open = asyncio.Event()
        self._passing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Way:
        self._listening = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._listening.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.close()
        for task in self._passing:
            task.cancel()

    def open(self) -> None:
        self._is_open.set()

    async def cut(self) -> None:
        self._is_open.clear()
        for task in (passing := list(self._passing)):
            task.cancel()
        await asyncio.wait(passing)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._is_open.is_set():
            writer.close()
            return
        there = await asyncio.open_connection(self._there.hostname, self._there.port)
        if not self._is_open.is_set():  # it was cut meanwhile
            writer.close()
            there[1].close()
            return
        for source, sink in ((reader, there[1]), (there[0], writer)):
            task = asyncio.create_task(self._pass_on(source, sink))
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while data := await source.read(65_536):
                    sink.write(data)
                    await sink.drain()
        finally:
            sink.close()


async def test_owner_that_did_not_reach_a_server_when_it_started(
    redis_server: EmbeddedValkey, tmp_path: Path
) -> None:
    """It is in the groups there that others added it to meanwhile, when it hears of them first.

    But not in those that it discarded itself since.
    """
    with EmbeddedValkey(directory=tmp_path) as second:
        async with Way(second) as way:
            owner = ShardedChannelLayer(hosts=[redis_server.url, way.url], publish_timeout=1.0)
            other = ShardedChannelLayer(hosts=[redis_server.url, second.url])
            try:
                channel, node = await named_channel(owner), await owner.node()
                away = [group for group in GROUPS if owner.shard_of(group) not in node._heard]
                assert len(away) > 2
                for group in away:
                    await other.group_add(group, channel)
                await other.group_discard(away[0], channel)
                await asyncio.sleep(LATER)
                await owner.group_discard(away[1], channel)
                way.open()
                await until(lambda: [*map(node.members, away)] == [0, 0] + [1] * (len(away) - 2))
                await other.group_send(away[2], message("for new"))
                received = await asyncio.wait_for(owner.receive(channel), PATIENCE)
                assert received["content"] == "for new"
            finally:
                await owner.close()
                await other.close()


async def test_owner_that_changes_its_groups_while_it_is_cut_off(
    redis_server: EmbeddedValkey, other: ShardedChannelLayer
) -> None:
    """What another process changed before that does not undo it; what it changes later counts."""
    async with Way(redis_server) as way:
        way.open()
        owner = ShardedChannelLayer(hosts=[way.url], publish_timeout=PATIENCE)
        try:
            channel, node = await owner.new_channel(), await owner.node()
            for group in ("comes.back", "is.removed"):
                await owner.group_add(group, channel)
            groups = ["comes.back", "is.removed", "left"]
            await way.cut()
            await until(lambda: not any(map(node.hears, groups)))
            await other.group_discard("comes.back", channel)
            await other.group_add("left", channel)
            await asyncio.sleep(LATER)
            await owner.group_add("comes.back", channel)
            await owner.group_add("is.removed", channel)
            await owner.group_discard("left", channel)
            await asyncio.sleep(LATER)
            await other.group_discard("is.removed", channel)
            way.open()
            await until(lambda: not node.orders._own)
            assert [node.memberships.channels(group) for group in groups] == [[channel], [], []]
            await other.group_send("left", message("secret"))
            await other.group_send("comes.back", message("for who came back"))
            received = await asyncio.wait_for(owner.receive(channel), PATIENCE)
            assert received["content"] == "for who came back"
        finally:
            await owner.close()


async def named_channel(layer: ShardedChannelLayer) -> str:
    """Return a channel of a layer whose shard can be heard."""
    while True:
        with suppress(ShardUnavailable):
            return await layer.new_channel()


async def test_redis_that_starts_again_empty(
    redis_server: EmbeddedValkey, make_owner: MakeOwner, other: ShardedChannelLayer
) -> None:
    """Channels are added as soon as it answers, though no lease was renewed yet."""
    owner = make_owner()  # whose leases are renewed every 20 s
    redis_server.stop()
    redis_server.start()

    async def added() -> bool:
        try:
            await each(other.group_add, owner.channel)
        except Exception:  # until it answers
            return False
        return True

    await until(added)
    await are_members(other, 1)
    with Redis.from_url(redis_server.url) as redis:
        await until(lambda: all(redis.zscore(ShardKeys(tag).alive, owner.node) for tag in TAGS))
