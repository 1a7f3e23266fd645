"""Who is in a group of Channels, on every place."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.conftest import MakeLayer
from tests.waiting import until


async def test_members_of_all_kinds_and_processes(make_layer: MakeLayer) -> None:
    """Process-local channels of two processes, and a normal one; who left is not among them."""
    here, there, script = make_layer(), make_layer(), make_layer()
    mine, left = await here.new_channel(), await here.new_channel()
    others = [await there.new_channel("other") for _ in range(3)]
    for layer, channels in ((here, [mine, left, "tasks"]), (there, others)):
        for channel in channels:
            await layer.group_add("chat", channel)
    await here.group_add("another", left)
    await here.group_discard("chat", left)
    expected = sorted([mine, "tasks", *others])
    assert await script.group_members("chat") == expected
    assert await here.group_members("chat") == expected
    assert await there.group_size("chat") == 5
    assert await script.group_size("another") == 1
    assert (await script.group_members("nobody"), await script.group_size("nobody")) == ([], 0)


async def test_members_of_a_process_that_is_gone(make_layer: MakeLayer) -> None:
    """They are gone at once, whatever its lease says."""
    here, dying = make_layer(), make_layer()
    mine = await here.new_channel()
    await here.group_add("chat", mine)
    await dying.group_add("chat", await dying.new_channel())
    assert await here.group_size("chat") == 2
    node = await dying.node()
    await node._backend.aclose()  # as one whose process was killed

    async def alone() -> bool:
        return await here.group_members("chat") == [mine]

    await until(alone)


async def test_a_membership_that_ended_does_not_count(make_layer: MakeLayer) -> None:
    """After `group_expiry`."""
    layer = make_layer(group_expiry=0.5)
    await layer.group_add("chat", await layer.new_channel())
    await layer.group_add("chat", "tasks")

    async def empty() -> bool:
        return await layer.group_size("chat") == 0

    await until(empty)
    assert await layer.group_members("chat") == []


async def test_from_code_without_a_loop(make_layer: MakeLayer) -> None:
    """The same, while a thread waits; and names are checked."""
    layer = make_layer()
    channel = await layer.new_channel()
    await layer.group_add("chat", channel)
    assert await asyncio.to_thread(layer.group_members_sync, "chat") == [channel]
    assert await asyncio.to_thread(layer.group_size_sync, "chat") == 1
    for ask in (layer.group_members, layer.group_size):
        with pytest.raises(TypeError):
            await ask("no group!")
