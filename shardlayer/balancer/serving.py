"""Runs a balancer as a process."""

from __future__ import annotations

import asyncio

from shardlayer.aio.open_files import raise_file_limit
from shardlayer.aio.run_until_stopped import run_until_stopped
from shardlayer.balancer.balancer import Balancer, BalancerOptions


def run_balancer(options: BalancerOptions) -> None:
    """Balance until SIGTERM or SIGINT; connections that workers hold go on after that.

    Raises:
        ShardLayerError: It can't listen on its port or at its socket.
    """
    raise_file_limit()

    async def balance(stop: asyncio.Event) -> None:
        await Balancer(options).run(stop)

    run_until_stopped(balance)
