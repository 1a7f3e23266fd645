"""How programs that run until they are told to stop are told."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

from shardlayer.aio.garbage import exit_quickly

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run_until_stopped(body: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run `body` in a new event loop; SIGTERM and SIGINT set its event.

    A second signal ends the process at once: whoever sends it will not wait.
    """

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def tell() -> None:
            stop.set()
            for number in SIGNALS:
                loop.remove_signal_handler(number)

        for number in SIGNALS:
            loop.add_signal_handler(number, tell)
        await body(stop)

    exit_quickly()
    asyncio.run(main())
