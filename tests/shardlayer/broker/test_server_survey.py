"""What a server is found to be when it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from demo.embedded import EmbeddedValkey
from demo.embedded.ports import LOOPBACK
from shardlayer.broker.redis.server_survey import survey
from shardlayer.core.hosts import parse_hosts

PAUSE = 1.0  # seconds


@asynccontextmanager
async def late_once(upstream: int) -> AsyncIterator[str]:
    """Pass bytes on to a server, but its second answer to a PING after a pause; give the URL.

    The first is a part of connecting.
    """
    pongs = 0

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal pongs
        while chunk := await reader.read(65536):
            pongs += chunk.count(b"+PONG\r\n")
            if b"+PONG\r\n" in chunk and pongs == 2:
                await asyncio.sleep(PAUSE)
            writer.write(chunk)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        its_reader, its_writer = await asyncio.open_connection(LOOPBACK, upstream)
        await asyncio.gather(copy(reader, its_writer), copy(its_reader, writer))

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    try:
        yield f"redis://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
    assert pongs >= 2


async def test_one_late_answer_does_not_count(redis_server: EmbeddedValkey) -> None:
    """A server is as fast as its quickest answer: the others waited for something else."""
    async with late_once(redis_server.port) as url:
        (host,) = parse_hosts([url])
        found = await survey(host, within=20.0)
    assert not found.report.error
    assert 0 < found.seconds < PAUSE
