"""A process that does a part of a load test, wherever it runs."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

import orjson

from realtime.loadtest.load_failed import LoadFailed

LONGEST_LINE: Final = 64 * 1024 * 1024  # bytes
_ANSWERS_WITHIN: Final = 30.0  # seconds, of what does not take time by itself

Report = Callable[["LoadHelper", dict[str, Any]], None]


class LoadHelper(ABC):
    """Asks a process for things, and hands on what it reports.

    Args:
        name: For people.
        on_report: Called with each report.

    Attributes:
        offset: Nanoseconds by which its clock is ahead of ours.
    """

    def __init__(self, name: str, on_report: Report) -> None:
        self.name = name
        self._on_report = on_report
        self.offset = 0
        self._asked = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._why_gone = ""

    @abstractmethod
    async def _write(self, line: bytes) -> None:
        """Send a line to it."""

    @abstractmethod
    async def aclose(self) -> None:
        """Have it end."""

    async def ask(
        self, do: str, *, within: float = _ANSWERS_WITHIN, **arguments: Any
    ) -> dict[str, Any]:
        """Ask for something and return the answer.

        Raises:
            LoadFailed: The process is gone, or did not answer `within` so many seconds.
        """
        if self._why_gone:
            raise LoadFailed(self._why_gone)
        self._asked += 1
        number = self._asked
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            await self._write(orjson.dumps({"id": number, "do": do, "with": arguments}))
            async with asyncio.timeout(within):
                told: dict[str, Any] = await answer
                return told
        except OSError as error:
            raise LoadFailed(f"{self.name} is gone: {error}.") from error
        except TimeoutError:
            raise LoadFailed(f"{self.name} did not {do!r} within {within:.0f} s.") from None
        finally:
            del self._answers[number]

    def _take(self, line: bytes) -> None:
        """Take a line that it wrote."""
        message = orjson.loads(line)
        if "report" in message:
            self._on_report(self, message["report"])
            return
        answer = self._answers.get(message["id"])
        if answer is not None and not answer.done():
            answer.set_result(message["answer"])

    def _gone(self, why: str) -> None:
        """Note that it will say nothing any more."""
        self._why_gone = why
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(LoadFailed(why))
