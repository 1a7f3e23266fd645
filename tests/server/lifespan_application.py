"""An ASGI application that writes its lifespan to a file, or refuses to start."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any


def note(diary: Path, event: str) -> None:
    with diary.open("a") as file:
        file.write(event + "\n")


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Take part in the lifespan only."""
    diary = Path(os.environ["DIARY"])
    while True:
        message = await receive()
        note(diary, message["type"])
        if os.environ.get("REFUSE"):
            await send({"type": "lifespan.startup.failed", "message": "no fuel"})
            return
        await send({"type": message["type"] + ".complete"})
