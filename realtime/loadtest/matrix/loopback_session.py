"""A session that tests a deployment of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from realtime.loadtest.load_session import LoadSession, SessionOptions
from realtime.loadtest.load_target import read_target
from realtime.loadtest.matrix.loopback_house import LoopbackHouse
from realtime.loadtest.metrics_reading import MetricsReader
from realtime.loadtest.reporting.live_view import LoadView


@asynccontextmanager
async def loopback_session(
    house: LoopbackHouse, options: SessionOptions, view: LoadView
) -> AsyncIterator[LoadSession]:
    """Start a deployment and a session that tests it, and end both.

    Args:
        house: The deployment.
        options: What else the session takes: its targets and figures are the deployment's.
        view: Where it is shown how it goes.

    Raises:
        LoadFailed: A part of it does not come up.
    """
    await asyncio.to_thread(house.start)
    try:
        own = replace(
            options,
            targets=[read_target(url) for url in house.urls],
            environ=house.environ,
            metrics=MetricsReader(house.metrics, ""),
        )
        async with LoadSession(own, view) as session:
            yield session
    finally:
        await asyncio.to_thread(house.stop)
