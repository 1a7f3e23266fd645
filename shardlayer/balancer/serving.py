"""Runs a balancer as a process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from shardlayer.aio.open_files import raise_file_limit
from shardlayer.aio.run_until_stopped import run_until_stopped
from shardlayer.balancer.balancer import Balancer, BalancerOptions
from shardlayer.balancer.balancer_counters import BalancerCounters


def run_balancer(
    options: BalancerOptions,
    beside: Callable[[BalancerCounters], AbstractContextManager[object]] = nullcontext,
) -> None:
    """Balance until SIGTERM or SIGINT; connections that workers hold go on after that.

    Args:
        options: How it runs.
        beside: Given the balancer's counters in its event loop; left when it has stopped.

    Raises:
        ShardLayerError: It can't listen on its port or at its socket.
    """
    raise_file_limit()

    async def balance(stop: asyncio.Event) -> None:
        balancer = Balancer(options)
        with beside(balancer.counters):
            await balancer.run(stop)

    run_until_stopped(balance)


def log_to_terminal() -> None:
    """Log at level INFO where nothing else is configured."""
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
