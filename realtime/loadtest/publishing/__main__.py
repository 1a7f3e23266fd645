"""The process that publishes: `python -m realtime.loadtest.publishing`."""

from __future__ import annotations

import asyncio
import resource
import time
from typing import Any

from django.utils.module_loading import import_string

from realtime.loadtest.line_link import LineLink
from realtime.loadtest.publishing.paced_publisher import PacedPublisher
from realtime.loadtest.publishing.publishing_ways import PublishingWay

_HERE = "realtime.loadtest.publishing"
_WAYS = {
    "publish": f"{_HERE}.publishing_ways.LayerWay",
    "kafka": f"{_HERE}.kafka_way.KafkaWay",  # needs aiokafka
    "api": f"{_HERE}.publishing_ways.ApiWay",
    "client": f"{_HERE}.client_way.ClientWay",
}
_REPORT_EVERY = 0.5  # seconds


class PublishingProcess:
    """Does what the command asks until it asks no more.

    Args:
        link: Where it asks.
    """

    def __init__(self, link: LineLink) -> None:
        self._link = link
        self._publisher: PacedPublisher | None = None
        self._way: PublishingWay | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve."""
        arrived = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._link.fileno(), self._read, arrived)
        reports = asyncio.create_task(self._report())
        while not self._link.ended:
            await arrived.wait()
            arrived.clear()
            while asked := self._link.take():
                task = asyncio.create_task(self._do(asked.id, asked.do, asked.arguments))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        reports.cancel()
        if self._way is not None:
            await self._way.aclose()

    def _read(self, arrived: asyncio.Event) -> None:
        self._link.read()
        if self._link.ended:
            asyncio.get_running_loop().remove_reader(self._link.fileno())
        arrived.set()

    async def _do(self, number: int, do: str, arguments: dict[str, Any]) -> None:
        try:
            answer = await getattr(self, f"_do_{do}")(**arguments)
        except Exception as error:  # the command tells it
            answer = {"error": f"{type(error).__name__}: {error}"}
        self._link.answer(number, answer)

    async def _do_setup(self, *, way: str, first_room: str, **arguments: Any) -> dict[str, Any]:
        self._way = import_string(_WAYS[way])(**arguments)
        await self._way.start()
        # The first call makes connections: that is not what is measured, nor where it should fail.
        await self._way.publish([(first_room, b"{}")])
        self._publisher = PacedPublisher(self._way)
        return {}

    def _ready(self) -> PacedPublisher:
        if self._publisher is None:
            raise RuntimeError("setup comes first")
        return self._publisher

    async def _do_publish(self, **arguments: Any) -> dict[str, Any]:
        publisher = self._ready()
        began = time.monotonic()
        await publisher.publish(**arguments)
        return {
            "numbers": {str(room): count for room, count in publisher.numbers.items()},
            "seconds": time.monotonic() - began,
            "failures": dict(publisher.failures),
            "uncertain": publisher.uncertain,
            "latest": publisher.latest,
        }

    async def _do_times(self, *, parts: list[tuple[int, int, int]]) -> dict[str, Any]:
        """Tell of each part of a room's numbers when its first and its last were published."""
        at = self._ready().published_at
        return {"times": [(at(room, first), at(room, end - 1)) for room, first, end in parts]}

    async def _do_figures(self) -> dict[str, Any]:
        return {"figures": self._way.figures() if self._way else []}

    async def _report(self) -> None:
        while True:
            usage = resource.getrusage(resource.RUSAGE_SELF)
            told = self._publisher.report() if self._publisher else {}
            told = {"acknowledged": {"largest": 0.0, "counts": []}, **told}
            cpu = usage.ru_utime + usage.ru_stime
            self._link.report({**told, "cpu": cpu, "at": time.monotonic()})
            await asyncio.sleep(_REPORT_EVERY)


if __name__ == "__main__":
    import django

    django.setup()
    asyncio.run(PublishingProcess(LineLink()).run())
