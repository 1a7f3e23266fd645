"""Closing a layer while others use it: nobody is cancelled whom nobody cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.layer import ShardedChannelLayer
from tests.contract.conftest import MakeLayer
from tests.shardlayer.fakes import RecordingSink

TURNS = range(12)  # of the loop, after which the layer is closed
LIMIT = 20.0  # seconds

Call = Callable[[ShardedChannelLayer], Awaitable[object]]


async def _join(layer: ShardedChannelLayer) -> object:
    return await (await layer.node()).join("room", RecordingSink())


CALLS: dict[str, Call] = {
    "send": lambda layer: layer.send("channel", {"type": "x"}),
    "new_channel": lambda layer: layer.new_channel(),
    "group_add": lambda layer: layer.group_add("group", "channel"),
    "group_discard": lambda layer: layer.group_discard("group", "channel"),
    "group_send": lambda layer: layer.group_send("group", {"type": "x"}),
    "join": _join,
    "publish": lambda layer: layer.publish("room", b"1"),
    "publish_many": lambda layer: layer.publish_many([("room", b"1"), ("other", b"1")]),
    "marks": lambda layer: layer.marks(["t/0"]),
    "ping": lambda layer: layer.ping(),
    "scan_rooms": lambda layer: layer.scan_rooms(0),
    "history": lambda layer: layer.history("room"),
}


@pytest.mark.parametrize("is_warm", [True, False])
@pytest.mark.parametrize("name", CALLS)
async def test_who_calls_while_the_layer_is_closed(
    make_layer: MakeLayer, name: str, *, is_warm: bool
) -> None:
    """A call succeeds or raises ShardUnavailable, however far it has come; and it ends."""
    for turns in TURNS:
        layer = make_layer(publish_timeout=2.0)
        layer.use_running_loop()
        if is_warm:
            with suppress(ShardUnavailable):
                await layer.publish("room", b"0")
        calls = [asyncio.ensure_future(CALLS[name](layer)) for _ in range(3)]
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(LIMIT):
            await layer.close()
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
        wrong = [
            outcome
            for outcome in outcomes
            if isinstance(outcome, BaseException) and not isinstance(outcome, ShardUnavailable)
        ]
        assert not wrong, (turns, wrong)
        await layer.close()  # of what was begun anew by a call that came later


@pytest.mark.parametrize("is_local", [True, False])
async def test_receivers_are_told_that_the_layer_is_closed(
    make_layer: MakeLayer, *, is_local: bool
) -> None:
    """None waits for ever, however far it has come; and who receives again, receives."""
    for turns in (1, 2, 5, 100):
        layer = make_layer(publish_timeout=2.0)
        channel = await layer.new_channel() if is_local else "channel"
        receivers = [asyncio.ensure_future(layer.receive(channel)) for _ in range(3)]
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(LIMIT):
            await layer.close()
            outcomes = await asyncio.gather(*receivers, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [ShardUnavailable] * 3

            again = asyncio.ensure_future(layer.receive("channel"))
            await layer.send("channel", {"type": "x"})
            assert await again == {"type": "x"}


async def test_consumer_is_told_that_its_layer_is_closed(make_layer: MakeLayer) -> None:
    """One that is notified instead of waiting is raised the same where it takes a message."""
    layer = make_layer()
    notified = asyncio.Event()
    reader = await layer.channel_reader(await layer.new_channel(), notified.set)
    assert reader.take() is None
    notified.clear()
    await layer.close()
    assert notified.is_set()
    with pytest.raises(ShardUnavailable, match="the layer was closed"):
        reader.take()
    reader.close()
    await reader.wait_closed()
