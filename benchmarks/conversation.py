"""How the benchmark talks with its own child processes: one JSON object a line, both ways."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any


class Instructions:
    """A child's side: what comes on standard input, in order, and the answers on standard output.

    It never blocks a loop: `read` when the descriptor is readable, `take` while `waiting`.
    """

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self._ended = False

    def fileno(self) -> int:
        """The descriptor to watch."""
        return sys.stdin.fileno()

    @property
    def waiting(self) -> bool:
        """Whether there is something to take."""
        return bool(self._lines) or self._ended

    def read(self) -> None:
        """Take in what has come; call when the descriptor is readable."""
        data = os.read(self.fileno(), 65536)
        if not data:
            self._ended = True
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._lines.extend(lines)

    def take(self) -> dict[str, Any] | None:
        """Return the next instruction, or None when there will be none any more."""
        if not self._lines:
            return None
        instruction: dict[str, Any] = json.loads(self._lines.popleft())
        return instruction

    @staticmethod
    def answer(value: dict[str, Any]) -> None:
        """Answer the instruction taken last."""
        print(json.dumps(value), flush=True)


async def obey(handlers: Mapping[str, Callable[..., Awaitable[dict[str, Any]]]]) -> None:
    """Do what the instructions ask for, one after another, until there will be none any more."""
    instructions, arrived = Instructions(), asyncio.Event()

    def read() -> None:  # at once: asked once too often, it would block
        instructions.read()
        arrived.set()

    asyncio.get_running_loop().add_reader(instructions.fileno(), read)
    while True:
        while not instructions.waiting:
            arrived.clear()
            await arrived.wait()
        asked = instructions.take()
        if asked is None:
            return
        instructions.answer(await handlers[asked["do"]](**asked["with"]))
