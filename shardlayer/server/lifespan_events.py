"""The lifespan of an application, which Daphne does not offer it.

Source: https://asgi.readthedocs.io/en/latest/specs/lifespan.html. An application that raises for a
scope of type `lifespan`, as Channels' routers do, does not take part and is served all the same.
The server listens while the application starts up: Daphne begins to before it says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from shardlayer.core.types import Worker

logger = logging.getLogger(__name__)

SHUTDOWN_TIMEOUT = 7.0  # seconds that an application gets to shut down; its layer takes up to 5

Application = Callable[..., Awaitable[object]]


class Lifespan:
    """Tells one application that the server starts, and that it stops.

    Args:
        application: An ASGI application.
        on_failure: Called if the application says that it could not start.
        worker: What the application may ask and tell of its server, by `extensions`.
    """

    def __init__(
        self, application: Application, on_failure: Callable[[], object], *, worker: Worker
    ) -> None:
        self._application = application
        self._on_failure = on_failure
        self._worker = worker
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._started = asyncio.Event()
        self._stopped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._state: dict[str, Any] = {}
        self._takes_part = False

    def share_state(self, scope: dict[str, Any]) -> None:
        """Put what the application keeps in its lifespan's `state` into another scope of its own.

        Each scope gets a copy of its own, with the same objects in it. That of an application
        without a lifespan gets none.
        """
        if self._takes_part:
            scope["state"] = self._state.copy()

    def start(self) -> None:
        """Send the application `lifespan.startup`. It is not waited for."""
        self._events.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.ensure_future(self._run())

    async def started(self) -> None:
        """Return once the application has started, or has said that it has no lifespan."""
        await self._started.wait()

    async def stop(self) -> None:
        """Send `lifespan.shutdown` and wait for its end, `SHUTDOWN_TIMEOUT` at most."""
        if self._task is None:
            return
        self._events.put_nowait({"type": "lifespan.shutdown"})
        _, running = await asyncio.wait(
            [self._task, asyncio.ensure_future(self._stopped.wait())],
            timeout=SHUTDOWN_TIMEOUT,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if self._task in running and not self._stopped.is_set():
            logger.warning("The application did not shut down within %g s.", SHUTDOWN_TIMEOUT)
        for task in running:
            task.cancel()

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
            "extensions": {"shardlayer": {"worker": self._worker}},
        }
        try:
            await self._application(scope, self._events.get, self._send)
        except Exception as error:  # this, too, is how an application says that it has no lifespan
            logger.debug("The application has no lifespan: %r", error)
        self._started.set()

    async def _send(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "lifespan.startup.complete":
                self._takes_part = True
                self._started.set()
            case "lifespan.startup.failed":
                logger.critical("The application can't start: %s", message.get("message", ""))
                self._on_failure()
            case "lifespan.shutdown.failed":
                logger.error("The application could not shut down: %s", message.get("message", ""))
                self._stopped.set()
            case "lifespan.shutdown.complete":
                self._stopped.set()
