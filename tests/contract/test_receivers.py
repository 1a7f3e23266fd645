"""Receivers that are cancelled, that die, and that wait, on every place."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.layer import ShardedChannelLayer
from tests.contract.conftest import MakeLayer
from tests.contract.places import Place
from tests.waiting import PATIENCE, until

TURNS = 40  # of the event loop, after which a receive is cancelled at the latest
IDLE = 1.0  # seconds in which waiting receivers must not ask for anything

# What a program that knows nothing of this one does: it says when it waits, and is then killed.
RECEIVER = """
import asyncio, json, sys
from shardlayer.layer import ShardedChannelLayer

async def main():
    layer = ShardedChannelLayer(**json.loads(sys.argv[1]))
    await layer.send("ready", {"type": "x"})
    await layer.receive("ready")
    receiving = asyncio.ensure_future(layer.receive("tasks"))
    while not (await layer.node()).mailboxes.open("tasks").is_empty:
        await asyncio.sleep(0.01)
    print("waits", flush=True)
    await receiving

asyncio.run(main())
"""


async def receive(layer: ShardedChannelLayer, channel: str) -> object:
    return (await asyncio.wait_for(layer.receive(channel), PATIENCE))["content"]


async def cancel_after(turns: int, receiving: asyncio.Task[dict[str, Any]]) -> list[object]:
    """Cancel a receive after some turns of the loop; return what it had received.

    Not with `wait_for`, which in Python 3.11 loses the result of what it cancels too late.
    """
    for _ in range(turns):
        await asyncio.sleep(0)
    receiving.cancel()
    with suppress(asyncio.CancelledError):
        return [(await receiving)["content"]]
    return []


@pytest.mark.parametrize("kind", ["local", "normal", "group"])
async def test_cancelled_receives_lose_nothing(make_layer: MakeLayer, kind: str) -> None:
    """Receives cancelled at every turn of the loop, before, while and after they got something.

    What was on its way to one that is gone is received by the next, in order.
    """
    layer = make_layer(capacity=2 * TURNS)
    channel = "tasks" if kind == "normal" else await layer.new_channel()
    await layer.group_add("g", channel)
    received: list[object] = []
    for turns in range(TURNS):
        message = {"type": "x", "content": turns}
        waiting = asyncio.create_task(layer.receive(channel))
        await asyncio.sleep(0)
        if kind == "group":
            await layer.group_send("g", message)
        else:
            await layer.send(channel, message)
        received += await cancel_after(turns % 20, waiting)
        gc.collect(0)  # nothing but the layer remembers the cancelled receive
    while len(received) < TURNS:
        received.append(await receive(layer, channel))
    assert received == list(range(TURNS))


async def test_what_a_cancelled_receive_took_goes_to_another_process(
    make_layer: MakeLayer,
) -> None:
    """A normal channel's message is not kept in a process in which nobody receives any more."""
    here, there = make_layer(), make_layer()
    received: list[object] = []
    for turns in range(20):
        await here.send("tasks", {"type": "x", "content": turns})
        waiting = asyncio.create_task(here.receive("tasks"))
        received += await cancel_after(turns, waiting)
        if len(received) <= turns:
            received.append(await receive(there, "tasks"))
    assert received == list(range(20))


async def test_leaving_a_group_keeps_what_came(make_layer: MakeLayer) -> None:
    """What a group's member was sent waits for it, though it was discarded and nobody received."""
    layer = make_layer()
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    waiting = asyncio.create_task(layer.receive(channel))
    assert await cancel_after(5, waiting) == []
    node = await layer.node()
    await layer.group_send("g", {"type": "x", "content": 1})
    await until(lambda: not node.mailboxes.open(channel).is_empty)
    await layer.group_discard("g", channel)
    gc.collect()
    assert await receive(layer, channel) == 1


async def test_channels_that_nobody_receives_are_given_up(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Consumers that left with messages waiting take no memory for longer than `expiry`."""
    monkeypatch.setattr("shardlayer.channels.mailboxes.SWEPT_AT", 10)
    layer = make_layer(expiry=0.05)
    node = await layer.node()
    for number in range(40):
        if number == 20:
            await asyncio.sleep(0.06)  # the first half expires
        channel = await layer.new_channel()
        await layer.group_add("g", channel)
        await layer.group_send("g", {"type": "x", "content": number})
        await until(lambda: not node.mailboxes.open(channel).is_empty)  # noqa: B023
        await layer.group_discard("g", channel)
    assert len(node.mailboxes._kept) < 40


async def test_receiver_that_dies_loses_nothing(place: Place, make_layer: MakeLayer) -> None:
    """Messages that are sent while a killed process was waiting for them go to another one."""
    if not place.servers:
        pytest.skip("the memory of a process dies with it")
    layer = make_layer()
    config = json.dumps(place.config)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RECEIVER, config, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"waits\n"
    finally:
        process.kill()
        await process.communicate()
    for number in range(3):
        await layer.send("tasks", {"type": "x", "content": number})
    assert [await receive(layer, "tasks") for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("busy", [False, True])
async def test_idle_receivers_get_equal_shares(make_layer: MakeLayer, busy: bool) -> None:
    """Each message wakes one receiver, the one that has waited longest; none waits for another."""
    workers, jobs = [make_layer() for _ in range(4)], 100
    taken: Counter[int] = Counter()
    all_taken = asyncio.Event()

    async def work(number: int) -> None:
        while True:
            try:
                await workers[number].receive("tasks")
            except ShardUnavailable:
                continue  # a busy machine may take long to connect
            taken[number] += 1
            if taken.total() == jobs:
                all_taken.set()
            if busy:
                await asyncio.sleep(0.001)

    working = [asyncio.create_task(work(number)) for number in range(len(workers))]
    for worker in workers:
        node = await worker.node()
        await until(lambda node=node: node.mailboxes.open("tasks").is_empty)  # type: ignore[misc]
    await until(lambda: not any(worker.unheard_servers for worker in workers))
    sender = make_layer(capacity=jobs)
    for number in range(jobs):
        await sender.send("tasks", {"type": "x", "content": number})
    await asyncio.wait_for(all_taken.wait(), PATIENCE)
    for task in working:
        task.cancel()
    ended = await asyncio.gather(*working, return_exceptions=True)
    assert {type(each) for each in ended} == {asyncio.CancelledError}
    share = jobs / len(workers)
    assert all(share / 2 <= count <= 2 * share for count in taken.values()), taken
    assert len(taken) == len(workers)


async def test_message_wakes_one_of_many(place: Place, make_layer: MakeLayer) -> None:
    """A message costs one look into the queue, however many processes wait for it."""
    if not place.servers:
        pytest.skip("memory counts no commands")
    quiet = {"queue_check_interval": 60, "probe_interval": 60, "lease_ttl": 600}
    workers = [make_layer(**quiet) for _ in range(10)]
    waiting = []
    for worker in workers:  # one after another: each connects to all servers
        waiting.append(asyncio.create_task(worker.receive("tasks")))
        node = await worker.node()
        await until(lambda node=node: node.mailboxes.open("tasks").is_empty)  # type: ignore[misc]
    await until(lambda: not any(worker.unheard_servers for worker in workers))
    before = await settle(lambda: commands_run(place))
    await make_layer().send("tasks", {"type": "x"})
    await until(lambda: any(task.done() for task in waiting))
    run = await settle(lambda: commands_run(place)) - before
    assert run["cmdstat_lpop"] == 1
    assert [task.result()["type"] for task in waiting if task.done()] == ["x"]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_cancelled_receiver_passes_its_wake_up_on(make_layer: MakeLayer) -> None:
    """One that was woken and is gone has the next one woken, at once."""
    workers = [make_layer(queue_check_interval=60) for _ in range(3)]
    gone = [asyncio.create_task(worker.receive("tasks")) for worker in workers[:2]]
    for worker in workers[:2]:
        node = await worker.node()
        await until(lambda node=node: node.mailboxes.open("tasks").is_empty)  # type: ignore[misc]
    stays = asyncio.create_task(receive(workers[2], "tasks"))
    node = await workers[2].node()
    await until(lambda: node.mailboxes.open("tasks").is_empty)
    for task in gone:
        task.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    await make_layer().send("tasks", {"type": "x", "content": 1})
    assert await stays == 1


async def test_receiver_that_hangs_when_it_is_woken_loses_nothing(
    place: Place, make_layer: MakeLayer
) -> None:
    """Another one that waits looks into the queue now and then."""
    if not place.servers:
        pytest.skip("a process that hangs hangs with its memory")
    config = json.dumps(place.config)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RECEIVER, config, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"waits\n"
        process.send_signal(signal.SIGSTOP)
        waits = make_layer(queue_check_interval=0.5)
        receiving = asyncio.create_task(receive(waits, "tasks"))
        node = await waits.node()
        await until(lambda: node.mailboxes.open("tasks").is_empty)
        await waits.send("tasks", {"type": "x", "content": 1})
        assert await receiving == 1
    finally:
        process.kill()
        await process.communicate()


async def test_queue_is_emptied_while_memory_is_full(place: Place, make_layer: MakeLayer) -> None:
    """Else nothing would ever make room."""
    if not place.servers:
        pytest.skip("this process's memory has no limit")
    layer = make_layer()
    for number in range(2):
        await layer.send("tasks", {"type": "x", "content": number})
    clients = place.clients()
    for client in clients:
        client.config_set("maxmemory", 1)
    try:
        with pytest.raises(ShardUnavailable, match="maxmemory"):
            await layer.send("tasks", {"type": "x", "content": 2})
        assert [await receive(layer, "tasks") for _ in range(2)] == [0, 1]
        waiting = asyncio.create_task(receive(layer, "tasks"))
        node = await layer.node()
        await until(lambda: node.mailboxes.open("tasks").is_empty)
        assert not waiting.done()
    finally:
        for client in clients:
            client.config_set("maxmemory", 0)
            client.close()
    await layer.send("tasks", {"type": "x", "content": 3})
    assert await waiting == 3


def commands_run(place: Place) -> Counter[str]:
    """Return how often the servers ran which command, but for what asking takes."""
    counts: Counter[str] = Counter()
    for client in place.clients():
        with client:
            if client.info("replication")["role"] != "master":
                continue  # it repeats what its primary did
            for command, stats in client.info("commandstats").items():
                counts[command] += stats["calls"]
    own = ("cmdstat_info", "cmdstat_client", "cmdstat_hello", "cmdstat_ping", "cmdstat_auth")
    servers = ("cmdstat_replconf", "cmdstat_publish", "cmdstat_subscribe")  # among themselves
    others = (*own, *servers, "cmdstat_cluster")  # of which the map is read once a minute
    return Counter({name: n for name, n in counts.items() if not name.startswith(others)})


async def settle(read: Callable[[], Counter[str]]) -> Counter[str]:
    """Return what is read once it does not change any more."""
    last, now = read(), Counter({"": 1})
    while last != now:
        await asyncio.sleep(0.2)
        last, now = now, read()
    return now


async def test_a_thousand_waiting_receivers_ask_for_nothing(
    place: Place, make_layer: MakeLayer
) -> None:
    """While nothing is sent, no command runs, and each is woken by its own message."""
    # Nor does the layer, by itself, within a minute.
    quiet = {"members_interval": 60, "linger": 60, "queue_check_interval": 60, "probe_interval": 60}
    layer = make_layer(lease_ttl=600, **quiet)  # it is renewed three times in that time
    names = [f"tasks.{number}" for number in range(900)]
    names += [await layer.new_channel() for _ in range(100)]
    receiving = [asyncio.create_task(layer.receive(name)) for name in names]
    node = await layer.node()
    await until(lambda: all(node.mailboxes.open(name).is_empty for name in names))
    before = await settle(lambda: commands_run(place))
    await asyncio.sleep(IDLE)
    assert commands_run(place) - before == Counter()
    for number, name in enumerate(names):
        await layer.send(name, {"type": "x", "content": number})
    received = await asyncio.gather(*receiving)
    assert [message["content"] for message in received] == list(range(1_000))
