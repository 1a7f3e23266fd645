"""What a publication costs Redis when more nodes have members of its room.

One Valkey; a layer that publishes, 200 callers at a time, to 32 rooms in turn; and none to 16
layers that have a member in each of them. All layers are in one process, since only the Valkey's
CPU is looked at.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import psutil

from demo.embedded import EmbeddedValkey
from shardlayer import Broadcast, ShardedChannelLayer

NODES = (0, 1, 4, 16)
ROOMS = [f"room-{number}" for number in range(32)]
CALLERS = 200
PUBLICATIONS = 10_000
DATA = b"[" + b"1," * 124 + b"1]"  # 250 bytes
LEASE = 15  # seconds; after it a new registry can be trusted, and dispatch is targeted


class CountingSink:
    """Counts what it gets."""

    def __init__(self) -> None:
        self.count = 0

    def write(self, broadcast: Broadcast) -> None:
        self.count += len(broadcast.texts)

    def close(self, code: int, reason: str = "") -> None:
        pass


async def measure_nodes() -> None:
    """Print it for each number of nodes."""
    for nodes in NODES:
        with (
            tempfile.TemporaryDirectory(prefix="benchmarks-") as name,
            EmbeddedValkey(directory=Path(name)) as valkey,
        ):
            await measure(valkey, nodes)


async def measure(valkey: EmbeddedValkey, nodes: int) -> None:
    """Print it for one number of nodes."""
    publisher = ShardedChannelLayer(hosts=[valkey.url], lease_ttl=LEASE)
    layers = [ShardedChannelLayer(hosts=[valkey.url], lease_ttl=LEASE) for _ in range(nodes)]
    sinks = []
    for layer in layers:
        node = await layer.node()
        for room in ROOMS:
            sinks.append(CountingSink())
            (await node.join(room, sinks[-1])).release()
    await publish(publisher, CALLERS)
    await asyncio.sleep(LEASE + 1)
    process = psutil.Process(valkey.pid)
    before, sent = cpu(process), publisher.stats()["messages"]
    await publish(publisher, PUBLICATIONS)
    while sum(sink.count for sink in sinks) < nodes * (PUBLICATIONS + CALLERS):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    used, messages = cpu(process) - before, publisher.stats()["messages"] - sent
    print(
        f"{nodes} nodes: {used / PUBLICATIONS * 1e6:.1f} us of Redis for a publication, "
        f"{messages / PUBLICATIONS:.2f} messages"
    )
    for layer in [publisher, *layers]:
        await layer.close()


async def publish(layer: ShardedChannelLayer, count: int) -> None:
    """Publish so many, CALLERS at a time."""
    numbers = iter(range(count))

    async def call() -> None:
        for number in numbers:
            await layer.publish(ROOMS[number % len(ROOMS)], DATA)

    await asyncio.gather(*(call() for _ in range(CALLERS)))


def cpu(process: psutil.Process) -> float:
    """Return the seconds of CPU that it has used."""
    times = process.cpu_times()
    return times.user + times.system
