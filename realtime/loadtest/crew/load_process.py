"""A process of this machine that takes part in a load test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from typing import Self

from realtime.loadtest.crew.load_helper import LONGEST_LINE, LoadHelper, Report
from realtime.loadtest.load_failed import LoadFailed

_ENDS_WITHIN = 5.0  # seconds
_KEPT = 4_000  # characters of what it complains of


async def start_module(
    module: str, *, stderr: int | None, environ: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    """Start `python -m module`, which finds the packages that this process finds.

    Args:
        module: What it runs.
        stderr: Where it complains to: PIPE, or None for where this process does.
        environ: What its environment has beside that of this process.
    """
    path = os.pathsep.join(filter(None, sys.path)) or "."
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
        env={**os.environ, "PYTHONPATH": path, **(environ or {})},
        limit=LONGEST_LINE,
        start_new_session=True,  # ctrl-C is for the command, which ends them
    )


async def end_process(process: asyncio.subprocess.Process) -> None:
    """Close what it is told by, which ends it, and wait until it is gone.

    It is killed if it does not end, and at once if this task is cancelled meanwhile.
    """
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(_ENDS_WITHIN):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class LoadProcess(LoadHelper):
    """A child process; it ends when this process does, as its standard input ends then."""

    def __init__(self, name: str, on_report: Report, process: asyncio.subprocess.Process) -> None:
        super().__init__(name, on_report)
        self._process = process
        self._complaint = ""
        self._readers = (
            asyncio.create_task(self._read()),
            asyncio.create_task(self._read_complaints()),
        )

    @classmethod
    async def start(
        cls,
        name: str,
        module: str,
        on_report: Report,
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """Start `python -m module`, with more in its environment if need be."""
        process = await start_module(module, stderr=asyncio.subprocess.PIPE, environ=environ)
        return cls(name, on_report, process)

    async def _write(self, line: bytes) -> None:
        if self._process.stdin is None:
            raise LoadFailed(f"{self.name} can't be asked.")
        self._process.stdin.write(line + b"\n")
        await self._process.stdin.drain()

    async def _read(self) -> None:
        if self._process.stdout is None:
            return
        try:
            while line := await self._process.stdout.readline():
                self._take(line)
        except Exception as error:  # whatever it is, whoever waits for an answer must hear of it
            self._gone(f"{self.name} can't be understood: {error!r}")
            raise
        await self._process.wait()
        await self._readers[1]
        why = self._complaint.strip() or f"exit code {self._process.returncode}"
        self._gone(f"{self.name} ended: {why}")

    async def _read_complaints(self) -> None:
        if self._process.stderr is None:
            return
        while text := await self._process.stderr.read(_KEPT):
            self._complaint = (self._complaint + text.decode(errors="replace"))[-_KEPT:]

    async def aclose(self) -> None:
        """Have it end; it is killed if it does not."""
        await end_process(self._process)
        await asyncio.gather(*self._readers, return_exceptions=True)
