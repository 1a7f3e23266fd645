"""The programs of docs/python-client.md and docs/protocol.md hear what a real worker publishes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from demo.embedded import EmbeddedValkey
from shardlayer.client import RoomClient
from tests.docs.blocks import ROOT, python_of, run_piece
from tests.shardlayer.client.client_site import PATIENCE, ClientSite


@pytest.fixture(scope="module")
def site(
    module_redis: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClientSite]:
    """A running worker."""
    made = ClientSite(module_redis.url, tmp_path_factory.mktemp("site"))
    made.start()
    yield made
    made.stop()


def test_client_follows_a_room(site: ClientSite) -> None:
    """The program prints what is published, with its offset."""
    code, _ = python_of("python-client.md")
    example = 'RoomClient("wss://example.org/ws/", token="…")'
    assert example in code
    made = f'RoomClient("{site.url}", connect_options={{"proxy": None}})'
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code.replace(example, made)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        read: Callable[[], str] = program.stdout.readline

        async def publish_until_heard() -> str:
            heard = asyncio.create_task(asyncio.to_thread(read))
            # The program has to start first.
            async with asyncio.timeout(2 * PATIENCE), site.client() as client:
                while not heard.done():
                    await client.publish("orders", {"pk": 7}, retry_for=PATIENCE)
                    await asyncio.wait([heard], timeout=0.2)
                return heard.result()

        async def hear() -> str:
            try:
                return await publish_until_heard()
            finally:
                program.terminate()  # or the thread that reads would be waited for in vain

        room, offset, *_ = asyncio.run(hear()).split()
    assert room == "orders"
    assert int(offset) > 0


async def test_client_asks(site: ClientSite) -> None:
    """Publishing, the history, who is there, and who one is."""
    _, code = python_of("python-client.md")
    async with site.client() as client:
        names: dict[str, Any] = {"client": client}
        await run_piece(code, names)
        assert names["messages"][-1].data == {"text": "hello"}


async def test_program_without_a_library(site: ClientSite) -> None:
    """The loop of docs/protocol.md subscribes, and hands over what comes."""
    (code,) = python_of("protocol.md")
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    names = {
        "url": site.url,
        "origin": site.url.replace("ws://", "http://").removesuffix("/ws/"),
        "positions": {},
        "subscribe_from": lambda positions: '{"id":1,"subscribe":{"room":"loop"}}',
        "handle": heard.put_nowait,
    }
    program = asyncio.create_task(run_piece(code, names))
    try:
        async with asyncio.timeout(PATIENCE):
            assert "subscribed" in await heard.get()
            async with site.client() as client:
                assert isinstance(client, RoomClient)
                await client.publish("loop", 7)
            assert (await heard.get())["data"] == 7
    finally:
        program.cancel()
        await asyncio.wait([program])
