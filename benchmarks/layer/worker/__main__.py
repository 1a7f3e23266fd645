"""A process that uses one layer: `python -m benchmarks.layer.worker LAYER URL`.

It has an event loop with a channel of its own, as a server's process has.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.conversation import Instructions
from benchmarks.layer.layers import LAYERS
from benchmarks.layer.worker import senders
from benchmarks.layer.worker.members import Members


async def _synchronously(*arguments: Any, **options: Any) -> senders.Sent:
    # In threads that it starts itself: this loop waits for them in one more.
    return await asyncio.to_thread(senders.send_synchronously, *arguments, **options)


async def _blocking(*arguments: Any, **options: Any) -> senders.Sent:
    return await asyncio.to_thread(senders.send_blocking, *arguments, **options)


_SENDERS: Mapping[str, Callable[..., Awaitable[senders.Sent]]] = {
    "concurrently": senders.send_concurrently,
    "batches": senders.send_batches,
    "synchronously": _synchronously,
    "blocking": _blocking,
}


class Worker:
    """Does what the benchmark says; each method is an instruction."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._members = Members(layer)

    async def join(self, *, groups: list[str]) -> dict[str, Any]:
        """Become a member of groups."""
        await self._members.join(groups)
        return {}

    async def send(self, *, how: str, group: str, **arguments: Any) -> dict[str, Any]:
        """Send to a group."""
        return asdict(await _SENDERS[how](self._layer, group, **arguments))

    async def do_nothing(self, **arguments: Any) -> dict[str, Any]:
        """Call async_to_sync for nothing."""
        return asdict(await asyncio.to_thread(senders.do_nothing_synchronously, **arguments))

    async def collect(self, **arguments: Any) -> dict[str, Any]:
        """Wait for what was sent."""
        return await self._members.collect(**arguments)

    async def echo(self) -> dict[str, Any]:
        """Open a channel that answers."""
        return {"channel": await self._members.echo()}

    async def round_trips(self, **arguments: Any) -> dict[str, Any]:
        """Talk to such a channel."""
        return await self._members.round_trips(**arguments)

    async def fallbacks(self) -> dict[str, Any]:
        """Return how many messages went to all nodes; other layers know no such thing."""
        stats = getattr(self._layer, "stats", None)
        return {"count": stats()["fallback"] if stats is not None else 0}


async def _work(layer: Any) -> None:
    """Obey until the instructions end."""
    instructions = Instructions()
    arrived = asyncio.Event()

    def read() -> None:
        # Here, and not in the task that waits: it would be told of the same input twice, and the
        # second read would hold up the loop, with all that is received on it.
        instructions.read()
        arrived.set()

    asyncio.get_running_loop().add_reader(instructions.fileno(), read)
    await layer.new_channel()
    worker = Worker(layer)
    while True:
        await arrived.wait()
        while instructions.waiting:
            asked = instructions.take()
            if asked is None:
                return
            instructions.answer(await getattr(worker, asked["do"])(**asked["with"]))
        arrived.clear()


if __name__ == "__main__":
    asyncio.run(_work(LAYERS[sys.argv[1]].make(sys.argv[2])))
