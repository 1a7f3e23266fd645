"""`python bin/smoke.py URL`: whether a site works, seen from outside.

Opens a page and some WebSockets, joins a room with all of them, publishes one message, and says
whether each got it once. Exit code 1 if not. The room is one in which anybody may publish, by
default the demo's `chat.smoke`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import time
from contextlib import AsyncExitStack
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

TIMEOUT = 20.0  # seconds for each step


def main() -> int:
    """Run it, print what was found and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="the site's address, such as https://www.example.com")
    parser.add_argument("--connections", type=int, default=30, help="how many WebSockets (30)")
    parser.add_argument("--room", default="chat.smoke", help="(chat.smoke)")
    options = parser.parse_args()
    if not options.url.startswith(("http://", "https://")):
        parser.error("an address begins with http:// or https://")
    try:
        print(asyncio.run(check(options.url.rstrip("/"), options.connections, options.room)))
    except (OSError, URLError, TimeoutError, WebSocketException, SmokeError) as error:
        print(f"bin/smoke.py: {options.url}: {error or type(error).__name__}", file=sys.stderr)
        return 1
    return 0


class SmokeError(Exception):
    """The site does something else than it should."""


async def check(url: str, count: int, room: str) -> str:
    """Return in words that all is well.

    Raises:
        SmokeError: It is not; says why.
    """
    await asyncio.to_thread(page, url)
    parts = urlsplit(url)
    address = f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}{parts.path}/ws/"
    origin = f"{parts.scheme}://{parts.netloc}"
    began = time.monotonic()
    async with AsyncExitStack() as stack, asyncio.timeout(TIMEOUT + count / 50):
        clients = [
            await stack.enter_async_context(connect(address, origin=origin, proxy=None))  # type: ignore[arg-type]
            for _ in range(count)
        ]
        await asyncio.gather(*(ask(client, subscribe={"room": room}) for client in clients))
        opened = time.monotonic() - began
        mark = secrets.token_hex(8)
        began = time.monotonic()
        listening = [asyncio.create_task(hear(client, room, mark)) for client in clients[1:]]
        await ask(clients[0], publish={"room": room, "data": {"user": "smoke", "text": mark}})
        await asyncio.gather(*listening)
        nodes = {await node_of(client) for client in clients}
    heard = time.monotonic() - began
    return (
        f"{count} WebSockets on {len(nodes)} nodes in {opened * 1000:.0f} ms; "
        f"one message reached all in {heard * 1000:.0f} ms."
    )


def page(url: str) -> None:
    """Open the first page.

    Raises:
        URLError: It does not answer, or not with 200.
    """
    with urlopen(f"{url}/", timeout=TIMEOUT) as answer:  # noqa: S310 - checked in main
        answer.read()


async def ask(client: ClientConnection, **command: object) -> dict[str, object]:
    """Send one command and return its reply; pushes before it are dropped.

    Raises:
        SmokeError: It is refused.
    """
    await client.send(json.dumps({"id": 1, **command}))
    while True:
        reply: dict[str, object] = json.loads(await client.recv())
        if reply.get("id") == 1:
            if "error" in reply:
                raise SmokeError(f"{json.dumps(command)} is refused: {json.dumps(reply['error'])}")
            return reply


async def hear(client: ClientConnection, room: str, mark: str) -> None:
    """Wait until this client has the message."""
    while True:
        push = json.loads(await client.recv())
        if push.get("room") == room and push.get("data", {}).get("text") == mark:
            return


async def node_of(client: ClientConnection) -> object:
    """Return the name of the process that has this client."""
    reply = await ask(client, connect={})
    connected = reply["connected"]
    assert isinstance(connected, dict)
    return connected["node"]


if __name__ == "__main__":
    sys.exit(main())
