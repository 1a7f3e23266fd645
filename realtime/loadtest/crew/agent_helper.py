"""A process of another machine that takes part in a load test: an agent started it."""

from __future__ import annotations

import asyncio
import time
from typing import Final, Self

from realtime.loadtest.agents.signed_lines import (
    GREETING,
    TO_AGENT,
    TO_COMMAND,
    BadSignature,
    SignedLines,
    new_nonce,
)
from realtime.loadtest.crew.load_helper import LONGEST_LINE, LoadHelper, Report
from realtime.loadtest.load_failed import LoadFailed

_CONNECTED_WITHIN: Final = 10.0  # seconds
_CLOCK_LOOKS: Final = 20


class AgentHelper(LoadHelper):
    """Asks a process through its agent.

    Attributes:
        doubt: Nanoseconds by which `offset` may be wrong.
    """

    def __init__(
        self,
        name: str,
        on_report: Report,
        key: str,
        nonces: tuple[bytes, bytes],
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        super().__init__(name, on_report)
        self._sealer = SignedLines(key, TO_AGENT, nonces)
        self._opener = SignedLines(key, TO_COMMAND, nonces)
        self._reader, self._writer = streams
        self._reading = asyncio.create_task(self._read())
        self.doubt = 0

    @classmethod
    async def connect(
        cls, name: str, address: tuple[str, int], key: str, on_report: Report
    ) -> Self:
        """Have an agent start a process.

        Raises:
            LoadFailed: It does not answer, or not as an agent does, or has another key.
        """
        where = f"{address[0]}:{address[1]}"
        try:
            async with asyncio.timeout(_CONNECTED_WITHIN):
                reader, writer = await asyncio.open_connection(*address, limit=LONGEST_LINE)
                greeting = await reader.readline()
        except (OSError, TimeoutError) as error:
            raise LoadFailed(f"The agent at {where} does not answer: {error}") from error
        except ValueError:  # a line without end
            greeting = b""
        if not greeting.startswith(GREETING):
            writer.close()
            raise LoadFailed(f"What answers at {where} is no agent of this release.")
        theirs, mine = greeting.removeprefix(GREETING).strip(), new_nonce()
        writer.write(mine + b"\n")
        agent = cls(name, on_report, key, (theirs, mine), (reader, writer))
        try:
            await agent._compare_clocks()
        except BaseException:
            await agent.aclose()
            raise
        return agent

    async def _compare_clocks(self) -> None:
        """Find out how far the clocks are apart: the fastest answer knows best."""
        best = None
        for _ in range(_CLOCK_LOOKS):
            before = time.monotonic_ns()
            there = (await self.ask("clock"))["now"]
            after = time.monotonic_ns()
            if best is None or after - before < best:
                best = after - before
                self.offset = there - (before + after) // 2
                self.doubt = best // 2

    async def _write(self, line: bytes) -> None:
        self._writer.write(self._sealer.seal(line))
        await self._writer.drain()

    async def _read(self) -> None:
        why = f"{self.name} is gone: its agent closed the connection. Either the keys differ, or it"
        why += " may not test this target. The agent's output says which."
        try:
            while sealed := await self._reader.readline():
                self._take(self._opener.open(sealed))
        except (OSError, ValueError, BadSignature) as error:
            why = f"{self.name} can't be understood: {error}"
        finally:
            self._gone(why)

    async def aclose(self) -> None:
        """Close the connection: the agent ends the process."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()
