"""Publishes as a client does: by the command `publish` on a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import orjson

from realtime.loadtest.client_frames import CLOSE, PING, PONG, TEXT, masked_frame, split_frames
from realtime.loadtest.load_failed import LoadFailed
from realtime.loadtest.publishing.publishing_ways import Item, PublishingWay
from realtime.loadtest.swarm.load_connection import SwarmTarget

_ANSWERS_WITHIN: Final = 30.0  # seconds


class ClientWay(PublishingWay):
    """One connection, on which commands follow each other without waiting.

    Args:
        target: The server, as `LoadTarget.told` describes it.
        token: What signs the client in; empty: nothing.
    """

    def __init__(self, target: dict[str, Any], token: str) -> None:
        self._target = SwarmTarget.of(**target)
        self._token = token
        self._asked = 0
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect, and sign in."""
        to = self._target
        context, name = to.tls or (None, None)
        reader, self._writer = await asyncio.open_connection(
            to.address, to.port, ssl=context, server_hostname=name
        )
        self._writer.write(to.request)
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            raise LoadFailed(f"The publishing client was answered with {head[:60]!r}.")
        self._reading = asyncio.create_task(self._read(reader))
        if self._token:
            await self._ask({"connect": {"token": self._token}})

    async def publish(self, items: Sequence[Item]) -> None:
        """Publish one after the other, and wait for all replies."""
        fragment = orjson.Fragment
        asked = [
            self._ask({"publish": {"room": room, "data": fragment(data)}}) for room, data in items
        ]
        async with asyncio.timeout(_ANSWERS_WITHIN):
            await asyncio.gather(*asked)

    def _ask(self, command: dict[str, Any]) -> asyncio.Future[None]:
        if self._writer is None or self._reading is None or self._reading.done():
            raise LoadFailed("The publishing client's connection is gone.")
        self._asked += 1
        answer = self._answers[self._asked] = asyncio.get_running_loop().create_future()
        text = orjson.dumps({"id": self._asked, **command})
        self._writer.write(masked_frame(TEXT, text))
        return answer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        buffer = bytearray()
        why = "The server closed the publishing client's connection."
        try:
            while data := await reader.read(65_536):
                buffer += data
                frames, taken = split_frames(buffer, len(buffer))
                for opcode, start, stop in frames:
                    payload = bytes(buffer[start:stop])
                    if opcode == TEXT:
                        self._take(orjson.loads(payload))
                    elif opcode == PING and self._writer is not None:
                        self._writer.write(masked_frame(PONG, payload))
                    elif opcode == CLOSE:
                        why = f"{why[:-1]} with {int.from_bytes(payload[:2])}."
                del buffer[:taken]
        except OSError as error:
            why = f"The publishing client's connection is gone: {error}."
        finally:
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(LoadFailed(why))
            self._answers.clear()

    def _take(self, message: dict[str, Any]) -> None:
        answer = self._answers.pop(message.get("id", 0), None)
        if answer is None or answer.done():
            return
        if "error" in message:
            answer.set_exception(LoadFailed(f"refused: {message['error']['code']}"))
        else:
            answer.set_result(None)

    async def aclose(self) -> None:
        """Disconnect."""
        if self._writer is not None:
            self._writer.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
