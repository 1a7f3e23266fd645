"""Process-local channels, received in event loops that did not name them."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest

from demo.embedded import EmbeddedValkey
from shardlayer.aio.other_loops import run_there
from shardlayer.channels import mailboxes as mailboxes_module
from shardlayer.layer import ShardedChannelLayer
from tests.waiting import PATIENCE, until, wait_until


@pytest.fixture(params=["memory", "redis"])
def config(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where the layer is."""
    if request.param == "memory":
        return {"hosts": [f"memory://{uuid4().hex}"]}
    server: EmbeddedValkey = request.getfixturevalue("redis_server")
    return {"hosts": [server.url]}


@pytest.fixture
async def layer(config: dict[str, Any]) -> AsyncIterator[ShardedChannelLayer]:
    """A layer that is closed in the test's loop."""
    made = ShardedChannelLayer(**config)
    yield made
    await made.close()


@pytest.fixture
def loop_there(layer: ShardedChannelLayer) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in another thread, and in which the layer is closed in the end."""
    loop = asyncio.new_event_loop()
    run_in_a_thread(loop)
    yield loop
    asyncio.run_coroutine_threadsafe(layer.close(), loop).result(PATIENCE)
    loop.call_soon_threadsafe(loop.stop)
    wait_until(lambda: not loop.is_running())
    loop.close()


def run_in_a_thread(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped; return when it runs."""
    threading.Thread(target=loop.run_forever, daemon=True).start()
    wait_until(loop.is_running)


async def test_channel_of_a_loop_in_another_thread(
    layer: ShardedChannelLayer, loop_there: asyncio.AbstractEventLoop
) -> None:
    """What was sent and what a group was sent arrive in order in a loop that waits for both."""
    channel = await run_there(loop_there, layer.new_channel)
    await layer.group_add(channel.partition("!")[2], channel)
    waiting = asyncio.create_task(layer.receive(channel))
    await layer.send(channel, {"type": "x", "number": 1})
    assert (await asyncio.wait_for(waiting, PATIENCE))["number"] == 1
    waiting = asyncio.create_task(layer.receive(channel))
    await layer.group_send(channel.partition("!")[2], {"type": "x", "number": 2})
    assert (await asyncio.wait_for(waiting, PATIENCE))["number"] == 2


async def test_cancelled_receive_in_another_loop_loses_nothing(
    layer: ShardedChannelLayer, loop_there: asyncio.AbstractEventLoop
) -> None:
    """Cancelled after any number of turns, here: the next receive has what that one took."""
    channel = await run_there(loop_there, layer.new_channel)
    received = []
    for number in range(40):
        await layer.send(channel, {"type": "x", "number": number})
    for turns in range(400):
        receiving = asyncio.create_task(layer.receive(channel))
        for _ in range(turns % 40):
            await asyncio.sleep(0)
        receiving.cancel()
        try:
            received.append((await receiving)["number"])
        except asyncio.CancelledError:
            continue
        if len(received) == 40:
            break
    while len(received) < 40:
        received.append((await asyncio.wait_for(layer.receive(channel), PATIENCE))["number"])
    assert sorted(received) == list(range(40))


async def test_channel_of_a_loop_that_has_ended(
    layer: ShardedChannelLayer, config: dict[str, Any]
) -> None:
    """Another loop of the process reads on: it is woken by what is sent while it waits."""
    channel = await asyncio.to_thread(asyncio.run, layer.new_channel())
    waiting = asyncio.create_task(layer.receive(channel))
    node = await layer.node()
    await until(lambda: node.mailboxes.open(channel).is_awaited)
    sender = ShardedChannelLayer(**config)
    await sender.send(channel, {"type": "x", "number": 1})
    assert (await asyncio.wait_for(waiting, PATIENCE))["number"] == 1
    await sender.close()


async def test_loop_that_ends_while_another_one_waits_for_its_channel(
    layer: ShardedChannelLayer, config: dict[str, Any]
) -> None:
    """The waiting receive reads on in its own loop, and is not cancelled with the other one."""
    named: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    may_end = threading.Event()

    async def name() -> None:
        channel = await layer.new_channel()
        named.get_loop().call_soon_threadsafe(named.set_result, channel)
        await asyncio.to_thread(may_end.wait)

    other_loop = asyncio.create_task(asyncio.to_thread(asyncio.run, name()))
    channel = await named
    waiting = asyncio.create_task(layer.receive(channel))
    await layer.node()
    may_end.set()
    await other_loop
    node = await layer.node()
    await until(lambda: node.mailboxes.open(channel).is_awaited)
    sender = ShardedChannelLayer(**config)
    await sender.send(channel, {"type": "x", "number": 1})
    assert (await asyncio.wait_for(waiting, PATIENCE))["number"] == 1
    await sender.close()


async def test_channel_of_another_process_is_refused(
    layer: ShardedChannelLayer, config: dict[str, Any]
) -> None:
    """Nothing would ever wake the receiver, and it would take another one's messages."""
    other = ShardedChannelLayer(**config)
    channel = await other.new_channel()
    for name in (channel, "specific.no-node!1", "foreign!1"):
        with pytest.raises(RuntimeError, match="only the layer and the process that named it"):
            await layer.receive(name)
    await other.send(channel, {"type": "x"})
    assert await asyncio.wait_for(other.receive(channel), PATIENCE) == {"type": "x"}
    await other.close()


async def test_reader_of_another_loop_is_refused(
    layer: ShardedChannelLayer, loop_there: asyncio.AbstractEventLoop
) -> None:
    """What a consumer reads with is of its own loop: its callbacks run there."""
    channel = await run_there(loop_there, layer.new_channel)
    with pytest.raises(RuntimeError, match=channel):
        await layer.channel_reader(channel, lambda: None)


async def test_groups_of_a_loop_that_stands_still(
    layer: ShardedChannelLayer, loop_there: asyncio.AbstractEventLoop
) -> None:
    """Whoever adds its channels waits for nobody; when it runs again it has heard of it."""
    kept, dropped = [await run_there(loop_there, layer.new_channel) for _ in range(2)]
    await layer.group_add("g", dropped)
    loop_there.call_soon_threadsafe(loop_there.stop)
    await until(lambda: not loop_there.is_running())
    async with asyncio.timeout(PATIENCE):
        await layer.group_add("g", kept)
        await layer.group_discard("g", dropped)
        await layer.group_send("g", {"type": "x"})
        await layer.send(dropped, {"type": "y"})
    run_in_a_thread(loop_there)
    received = [await asyncio.wait_for(layer.receive(name), PATIENCE) for name in (kept, dropped)]
    assert received == [{"type": "x"}, {"type": "y"}]


@pytest.mark.parametrize("turns", range(6))
async def test_loop_that_stops_while_it_is_asked(
    layer: ShardedChannelLayer, loop_there: asyncio.AbstractEventLoop, turns: int
) -> None:
    """Whatever it had begun by then, the caller goes on, and the channel is a member."""
    channel = await run_there(loop_there, layer.new_channel)
    adding = asyncio.create_task(layer.group_add("g", channel))
    for _ in range(turns):
        await asyncio.sleep(0)
    loop_there.call_soon_threadsafe(loop_there.stop)
    await asyncio.wait_for(adding, PATIENCE)
    await until(lambda: not loop_there.is_running())
    await layer.group_send("g", {"type": "x"})
    run_in_a_thread(loop_there)
    assert await asyncio.wait_for(layer.receive(channel), PATIENCE) == {"type": "x"}


async def test_loop_that_runs_again_while_another_one_reads_its_channel(
    layer: ShardedChannelLayer, loop_there: asyncio.AbstractEventLoop
) -> None:
    """What waits there is received, whether it came while the loop stood still or later."""
    channel = await run_there(loop_there, layer.new_channel)
    await layer.group_add("g", channel)
    loop_there.call_soon_threadsafe(loop_there.stop)
    await until(lambda: not loop_there.is_running())
    mailboxes = (await layer.node()).mailboxes
    waiting = asyncio.create_task(layer.receive(channel))
    await until(lambda: mailboxes.open(channel).is_awaited)
    await layer.send(channel, {"type": "x", "number": 1})  # this loop reads it
    assert (await asyncio.wait_for(waiting, PATIENCE))["number"] == 1
    waiting = asyncio.create_task(layer.receive(channel))
    await until(lambda: mailboxes.open(channel).is_awaited)
    await layer.group_send("g", {"type": "x", "number": 2})  # its own loop does
    run_in_a_thread(loop_there)
    assert (await asyncio.wait_for(waiting, PATIENCE))["number"] == 2
    await layer.send(channel, {"type": "x", "number": 3})
    await layer.group_send("g", {"type": "x", "number": 4})
    received = [await asyncio.wait_for(layer.receive(channel), PATIENCE) for _ in range(2)]
    assert [each["number"] for each in received] == [3, 4]


@pytest.mark.parametrize("is_over", [False, True])
async def test_who_reads_for_another_loop_keeps_nothing(
    layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch, is_over: bool
) -> None:
    """What looks whether that runs is forgotten, without the collector, which may run rarely."""
    monkeypatch.setattr(mailboxes_module, "OVER_LOOK", 0.01)
    mailboxes = (await layer.node()).mailboxes

    def look() -> bool:
        return is_over

    gone = weakref.ref(look)
    gc.disable()
    try:
        if not is_over:
            await layer.send("channel", {"type": "x"})
        claimed = await mailboxes.claim_until("channel", look)
        del look
        await asyncio.sleep(0)  # this turn of the loop has the cancellation
        assert ((claimed is None), gone()) == (is_over, None)
    finally:
        gc.enable()
