"""Closing a layer while others use it: nobody is cancelled whom nobody cancelled."""

from __future__ import annotations

import asyncio
from asyncio.sslproto import SSLProtocol
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from shardlayer.broker.redis.sockets import open_connection
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.options import LayerOptions
from shardlayer.core.redis_clients import connect
from shardlayer.layer import ShardedChannelLayer
from tests.contract.conftest import MakeLayer
from tests.contract.places import Place
from tests.shardlayer.fakes import RecordingSink

TURNS = range(12)  # of the loop, after which the layer is closed
LIMIT = 30.0  # seconds

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
        layer = make_layer(publish_timeout=8.0)
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


@pytest.mark.needs("redis-server")
@pytest.mark.parametrize("place", ["tls"], indirect=True)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_tls_handshake_that_completes_while_it_is_cancelled(
    place: Place, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No socket is left open, although the loop ends at once."""
    complete = SSLProtocol._on_handshake_complete
    opening: list[asyncio.Task[object]] = []
    transports: list[asyncio.Transport] = []
    closing: list[bool] = []

    def completing(protocol: Any, error: Exception | None) -> None:
        transports.append(protocol._transport)
        if moment == "before":
            opening[0].cancel()
        complete(protocol, error)
        if moment == "after":
            opening[0].cancel()

    async def open_and_cancel() -> None:
        redis = connect(LayerOptions.from_config(**place.config).hosts[0], timeout=2.0)
        opening.append(asyncio.create_task(open_connection(redis)))
        await asyncio.wait(opening)
        closing.extend(transport.is_closing() for transport in transports)
        await redis.aclose()

    monkeypatch.setattr(SSLProtocol, "_on_handshake_complete", completing)
    asyncio.run(open_and_cancel())
    assert opening[0].cancelled()
    assert closing == [True]
