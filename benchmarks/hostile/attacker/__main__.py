"""A process that makes cases and sends each on a connection of its own."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any

from benchmarks.conversation import obey
from benchmarks.hostile.cases import Case, cases

_AT_ONCE = 40  # connections
_PATIENCE = 0.1  # seconds in which an answer is read
_MOST = 64 * 1024  # bytes that are read of one answer


class Attacker:
    """Has a list of cases, and sends them to whichever port it is told."""

    def __init__(self) -> None:
        self._cases: list[Case] = []
        self._idle: asyncio.Server | None = None

    async def prepare(self, seed: int, count: int, host: str) -> dict[str, Any]:
        """Make the cases; return the port of a server that reads them and does nothing."""
        self._cases = cases(seed, count, host)
        if self._idle is None:
            self._idle = await asyncio.start_server(_ignore, "127.0.0.1", 0)
        return {"idle": self._idle.sockets[0].getsockname()[1]}

    async def attack(self, port: int, seconds: float) -> dict[str, Any]:
        """Send all cases, evenly over so many seconds or as fast as that can be done."""
        loop = asyncio.get_running_loop()
        begin, gate, chance = loop.time(), asyncio.Semaphore(_AT_ONCE), random.Random(0)
        failed = 0
        tasks: set[asyncio.Task[bool]] = set()
        for number, case in enumerate(self._cases):
            await asyncio.sleep(max(0, begin + seconds * number / len(self._cases) - loop.time()))
            await gate.acquire()
            task = asyncio.create_task(_send(port, case, resets=chance.random() < 0.2))
            tasks.add(task)
            task.add_done_callback(lambda _: gate.release())
            if len(tasks) > 1_000:
                done = {task for task in tasks if task.done()}
                failed += sum(not task.result() for task in done)
                tasks -= done
        failed += sum(not sent for sent in await asyncio.gather(*tasks))
        return {"sent": len(self._cases), "failed": failed, "seconds": loop.time() - begin}


async def _send(port: int, case: Case, *, resets: bool) -> bool:
    """Send a case and read what comes; return False if there was nobody to send it to."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            for data in case:
                writer.write(data)
                await writer.drain()
                await asyncio.sleep(0)
            left = _MOST
            while left > 0 and (data := await reader.read(left)):
                left -= len(data)
    if resets:
        writer.transport.abort()
    else:
        writer.close()
    return True


async def _ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while await reader.read(65_536):
            pass
    writer.close()


if __name__ == "__main__":
    attacker = Attacker()
    asyncio.run(obey({"prepare": attacker.prepare, "attack": attacker.attack}))
