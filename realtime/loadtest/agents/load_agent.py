"""An agent: listens, and holds clients for whoever has the key."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from typing import Any, Final

import orjson

from realtime.loadtest.agents.signed_lines import (
    GREETING,
    TO_AGENT,
    TO_COMMAND,
    BadSignature,
    SignedLines,
    new_nonce,
)
from realtime.loadtest.crew.load_helper import LONGEST_LINE
from realtime.loadtest.crew.load_process import end_process, start_module
from realtime.loadtest.load_target import BadTarget, read_target, require_ours

_GREETED_WITHIN: Final = 10.0  # seconds
_STRANGERS: Final = 100  # connections at a time that have not shown the key
_is_plain: Final = re.compile("[!-~]*").fullmatch  # no spaces, no ends of lines
_FIRST_LINE: Final = 4 * 1024  # bytes; who has not shown the key makes the agent keep twice as many


class LoadAgent:
    """For each connection it starts one process with clients, which ends with the connection.

    Args:
        key: What the command must have.
        owned: The host that may be tested beside loopback; None: none.
        most: Processes at a time.
        say: Tells a person what happens.
    """

    def __init__(
        self, key: str, *, owned: str | None, most: int, say: Callable[[str], Any]
    ) -> None:
        self._key = key
        self._owned = owned
        self._most = most
        self._say = say
        self._running = 0
        self._strangers = 0

    async def listen(self, host: str, port: int) -> asyncio.Server:
        """Begin to listen."""
        return await asyncio.start_server(self._serve, host, port, limit=_FIRST_LINE)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        try:
            await self._converse(reader, writer)
        except (BadSignature, BadTarget) as error:
            self._say(f"{peer} is refused: {error}")
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError) as error:
            self._say(f"{peer} is gone: {error!r}")
        finally:
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = new_nonce()
        if self._strangers >= _STRANGERS:
            raise BadTarget(f"{_STRANGERS} others have not shown the key yet.")
        self._strangers += 1
        try:
            writer.write(GREETING + mine + b"\n")
            async with asyncio.timeout(_GREETED_WITHIN):
                theirs = (await reader.readexactly(len(mine) + 1)).rstrip(b"\n")
                opener = SignedLines(self._key, TO_AGENT, (mine, theirs))
                # Nothing is started, nor kept, for who has not shown the key.
                first = opener.open(await reader.readuntil(b"\n"))
        finally:
            self._strangers -= 1
        if self._running >= self._most:
            raise BadTarget(f"{self._most} processes run already; --processes sets how many may.")
        self._running += 1
        try:
            sealer = SignedLines(self._key, TO_COMMAND, (mine, theirs))
            await self._lead(first, opener, sealer, (reader, writer))
        finally:
            self._running -= 1

    async def _lead(
        self,
        first: bytes,
        opener: SignedLines,
        sealer: SignedLines,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Have a process do what the lines say, until there are no more."""
        reader, writer = streams
        process = await start_module("realtime.loadtest.swarm", stderr=None)
        self._say(f"{writer.get_extra_info('peername')} has a process with clients.")
        back = asyncio.create_task(self._send_back(process, sealer, writer))
        try:
            await self._hand_on(first, process)
            while sealed := await _read_line(reader):
                await self._hand_on(opener.open(sealed), process)
        finally:
            await end_process(process)
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)

    async def _hand_on(self, line: bytes, process: asyncio.subprocess.Process) -> None:
        asked = orjson.loads(line)
        if asked["do"] == "setup":
            for target in asked["with"]["targets"]:
                self._require(target)
            line = orjson.dumps(asked)  # with the addresses that were judged
        if process.stdin is not None:
            process.stdin.write(line + b"\n")
            await process.stdin.drain()

    def _require(self, target: dict[str, Any]) -> None:
        """Raise BadTarget unless this agent's own operator lets it be tested."""
        for part in ("host", "path", "origin"):
            # Else more than a handshake could be said to what listens here.
            if not _is_plain(str(target[part])):
                raise BadTarget(f"The target's {part} has what no address has.")
        scheme = "wss" if target["tls_name"] else "ws"
        found = read_target(f"{scheme}://{target['host']}/")
        require_ours(found, self._owned)
        target["address"] = found.address  # as this machine knows the host

    @staticmethod
    async def _send_back(
        process: asyncio.subprocess.Process, sealer: SignedLines, writer: asyncio.StreamWriter
    ) -> None:
        if process.stdout is None:
            return
        with contextlib.suppress(OSError):
            while line := await process.stdout.readline():
                writer.write(sealer.seal(line.rstrip(b"\n")))
                await writer.drain()
        writer.close()


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    """Return a line of whatever length, within limits; empty at the end.

    The reader's own limit is what may wait there, and is for strangers.

    Raises:
        ValueError: It is too long.
    """
    parts: list[bytes] = []
    size = 0
    while size <= LONGEST_LINE:
        try:
            parts.append(await reader.readuntil(b"\n"))
            return b"".join(parts)
        except asyncio.IncompleteReadError:
            return b""
        except asyncio.LimitOverrunError as error:
            parts.append(await reader.readexactly(error.consumed))
            size += error.consumed
    raise ValueError(f"a line of more than {LONGEST_LINE:,} bytes")
