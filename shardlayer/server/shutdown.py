"""The end of a server, in its order, each step with a limit in time.

1. The health check says that this worker stops, and no WebSocket is let in any more.
2. The balancer hears that it gets no connection any more.
3. The clients are sent away, spread over some seconds (drain.py).
4. No connection is accepted any more. Requests under way are answered, applications hear of
   the disconnects, and what was written leaves.
5. The applications that go on all the same are cancelled.
6. The application's lifespan ends, by which the channel layer gives back its leases.
7. What is to be done before the event loop closes is done, so the layer of an application
   without a lifespan is closed as well. The tasks that still run are cancelled, as
   `asyncio.run` cancels them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Protocol

from shardlayer.aio.loop_endings import end_all
from shardlayer.server.balancer_link import BalancerLink
from shardlayer.server.drain import send_away
from shardlayer.server.host import WebSocket

logger = logging.getLogger(__name__)

SHUTDOWN_TIMEOUT = 30.0  # seconds from the signal to the end of the process
LEAVE_TIMEOUT = 2.0  # seconds for the link to the balancer to end
ANSWER_TIMEOUT = 3.0  # seconds for a client to answer our close frame
TASKS_TIMEOUT = 7.0  # seconds for what is done last; a channel layer takes up to 5
CANCEL_TIMEOUT = 5.0  # seconds for what is cancelled then
RESERVED = 8.0  # seconds before the end of all time that are kept for the steps 6 and 7
POLL_INTERVAL = 0.02  # seconds


class Stopping(Protocol):
    """The server, as its end sees it: `server.Server`.

    Attributes:
        application_close_timeout: Seconds that applications get to end, and once more when they
            were cancelled.
        balancer_link: None without a balancer.
        websockets: The task of each WebSocket's application, until client and task are gone.
    """

    application_close_timeout: float
    balancer_link: BalancerLink | None
    websockets: dict[WebSocket, asyncio.Future[Any]]

    def stop_listening(self) -> None:
        """Accept no connection any more."""

    def requests_under_way(self) -> list[asyncio.Future[Any]]:
        """Return the tasks of the HTTP requests that are not answered yet."""

    def has_unsent(self) -> bool:
        """Tell whether bytes wait for a client to read."""


class Shutdown:
    """The end of one server.

    Args:
        server: What ends.
        end_lifespan: Ends the application's lifespan, in limited time.
        drain_seconds: Over which the clients are spread; 0: all at once.
        timeout: Seconds that all may take; 0: no limit.
    """

    def __init__(
        self,
        server: Stopping,
        end_lifespan: Callable[[], Awaitable[None]],
        *,
        drain_seconds: float,
        timeout: float,
    ) -> None:
        self._server = server
        self._end_lifespan = end_lifespan
        self._drain_seconds = drain_seconds
        self._until = time.monotonic() + timeout if timeout else float("inf")

    async def run(self) -> None:
        """Do it all. Raises nothing: a step that fails is logged, and the next one follows."""
        for step in (
            self._leave_balancer,
            self._send_clients_away,
            self._wait_until_quiet,
            self._cancel_applications,
            self._end_lifespan,
            _end_loop,
        ):
            try:
                await step()
            except Exception:
                logger.exception("An error while the server stopped:")

    async def _leave_balancer(self) -> None:
        link = self._server.balancer_link
        if link is None:
            return
        link.leave()
        try:
            await asyncio.wait_for(link.aclose(), LEAVE_TIMEOUT)
        except TimeoutError:
            logger.warning("The link to the balancer did not end in time.")

    async def _send_clients_away(self) -> None:
        websockets = self._server.websockets
        if websockets:
            logger.info("Sending %d clients away.", len(websockets))
        seconds = min(self._drain_seconds, self._left())
        await send_away(websockets, seconds)

    async def _wait_until_quiet(self) -> None:
        """Wait until clients and applications are gone, and what was written has left."""
        server = self._server
        server.stop_listening()
        now = time.monotonic()
        aborts = now + ANSWER_TIMEOUT
        ends = now + min(server.application_close_timeout, self._left())
        while not self._is_quiet() and (now := time.monotonic()) < ends:
            if now >= aborts:
                aborts = float("inf")
                for websocket in list(server.websockets):
                    websocket.abort()
            await asyncio.sleep(POLL_INTERVAL)

    def _is_quiet(self) -> bool:
        server = self._server
        return not (server.websockets or server.requests_under_way() or server.has_unsent())

    async def _cancel_applications(self) -> None:
        server = self._server
        for websocket in list(server.websockets):
            websocket.abort()
        tasks = [task for task in server.websockets.values() if not task.done()]
        tasks += server.requests_under_way()
        if tasks:
            logger.warning("%d applications did not end in time, and are cancelled.", len(tasks))
        await _cancel(tasks, min(server.application_close_timeout, self._left()))

    def _left(self) -> float:
        """Return the seconds that are left for the clients and applications."""
        return max(0.0, self._until - RESERVED - time.monotonic())


async def _end_loop() -> None:
    """Do what `asyncio.run` and the loop's `close` would do: Twisted's loop is never closed."""
    current = asyncio.current_task()
    try:
        async with asyncio.timeout(TASKS_TIMEOUT):
            await end_all()
    except TimeoutError:
        logger.warning("The work to be done before the event loop closes took too long.")
    await _cancel([task for task in asyncio.all_tasks() if task is not current], CANCEL_TIMEOUT)


async def _cancel(tasks: Collection[asyncio.Future[Any]], patience: float) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=patience)
