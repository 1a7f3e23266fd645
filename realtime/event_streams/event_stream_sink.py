"""Where pushes go for a stream of events."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from realtime.clients.protocol.commands import LATER_CODES
from realtime.clients.queued_sink import FLUSH_TIMEOUT, PACED_SIZE, QueuedSink, Send
from realtime.event_streams.event_text import (
    COMMENT,
    close_event,
    events_of,
    format_position,
    subscribed_rooms,
)
from shardlayer import Broadcast, Position

END: Final = b"\n\n"  # of an event, a comment, a `retry` alone
RETRY = (1_000, 5_000)  # milliseconds: between these a stream that is lost comes back
PASSING_ERRORS: Final = frozenset({"rate", "full", "unavailable", "internal"})  # of rooms
RETRY_LATER = (20_000, 40_000)  # milliseconds: after what the client has brought on itself


class EventStreamSink(QueuedSink):
    """A sink over the body of a response, see `event_text`.

    Behind a close, each piece that is sent has its time, see `patience`. A client that does not
    take it is given up: nothing else would end its stream, since it does not have to leave.

    Args:
        send: ASGI's.
        rooms: Those of the URL, in its order.
        limit: Bytes that may wait; 0: any amount.

    Attributes:
        lacks_rooms: Whether a room was refused for what may soon be over.
        is_complete: Whether the server has all of the response, its end included.
    """

    __slots__ = (
        "_epochs", "_handed", "_hurries", "_patience", "_places", "_retry", "is_complete",
        "lacks_rooms",
    )  # fmt: skip

    def __init__(self, send: Send, rooms: Sequence[str], *, limit: int) -> None:
        super().__init__(send, limit=limit)
        # As an id has them: each event says all of them, and changes one.
        self._places: dict[str, str] = dict.fromkeys(rooms, format_position(None))
        self._epochs: dict[str, str] = dict.fromkeys(rooms, "")
        self.lacks_rooms = False
        self.is_complete = False
        self._handed = 0  # bytes of the piece that was sent last, which may wait for the client
        self._patience: asyncio.TimerHandle | None = None  # that is left after a close
        self._hurries = False  # whether there is no more of it
        self._retry: int | None = None  # milliseconds, once it is known

    @property
    def room_count(self) -> int:
        """How many rooms the URL names, each counted once."""
        return len(self._places)

    def say_retry(self) -> None:
        """Say how long a browser that loses the stream waits, each another time."""
        self._add(b"retry: %d\n\n" % between(RETRY))

    def begin_at(self, positions: Sequence[Position | None]) -> None:
        """Take where the client is in the rooms, in the URL's order."""
        for room, at in zip(tuple(self._places), positions, strict=True):
            self._be_at(room, at)

    def comment(self) -> None:
        """Have something sent, unless something waits anyway, so that no proxy gives up."""
        if self._close is None and not self._texts:
            self._add(COMMENT)

    def leave(self, code: int, reason: str, seconds: float) -> None:
        """Close the stream, and have its client come back after so many seconds.

        The server stops: the client has FLUSH_TIMEOUT in all, also if the stream was closed before.
        """
        if self._close is None:
            self._retry = round(seconds * 1000)
        self.close(code, reason)
        self._be_patient(0)
        self._hurries = True

    def close(self, code: int, reason: str = "") -> None:
        """Close the stream once what is queued is sent, or the client is given up."""
        is_first = self._close is None
        super().close(code, reason)
        if is_first:
            self._be_patient(self._handed)

    async def finish(self) -> None:
        """End the task. A close that was asked for gets its time to be sent."""
        try:
            if self._task is not None and self._patience is not None:
                await asyncio.wait([self._task])
            await super().finish()
        finally:
            if self._patience is not None:
                self._patience.cancel()
                self._patience = None

    async def send_last(self) -> None:
        """Send the end of a stream that was given up, where `send` waits for its client."""
        if self._close is not None:
            with suppress(OSError):  # the client is gone
                await self._send_close(*self._close)

    @property
    def sending(self) -> asyncio.Task[None]:
        """Is done when all is sent that will be: the stream was closed, or can't be written.

        Until `finish`.
        """
        assert self._task is not None
        return self._task

    def _add(self, text: bytes) -> None:
        self._pending += len(text)
        self._texts.append(text)
        self._wake.set()

    def _texts_of(self, broadcast: Broadcast) -> Sequence[bytes]:
        """Return the events, which all streams share, with this one's ids between."""
        texts: list[bytes] = []
        for event, text in zip(events_of(broadcast), broadcast.texts, strict=True):
            if event.room in self._places:
                epoch = event.epoch or self._epochs[event.room]
                self._be_at(event.room, Position(event.offset, epoch))
                texts.append(self._id())
            elif not event.room and (rooms := subscribed_rooms(text)):
                self._joined(rooms)
                texts.append(self._id())
            texts.append(event.lines)
        return texts

    def _joined(self, rooms: Sequence[Mapping[str, Any]]) -> None:
        for item in rooms:
            if "error" in item:
                self.lacks_rooms |= item["error"]["code"] in PASSING_ERRORS
            else:
                at = Position(item["offset"], item["epoch"]) if "offset" in item else None
                self._be_at(item["room"], at)

    def _be_at(self, room: str, at: Position | None) -> None:
        self._places[room] = format_position(at)
        self._epochs[room] = "" if at is None else at.epoch

    def _id(self) -> bytes:
        return b"id: %b\n" % ",".join(self._places.values()).encode("ascii")

    def _next(self) -> bytes:
        """Take as much as makes a good piece: whole events, or an id would go ahead of its own."""
        texts, size = [self._texts.popleft()], 0
        while self._texts and (
            (size := size + len(texts[-1])) < PACED_SIZE or not texts[-1].endswith(END)
        ):
            texts.append(self._texts.popleft())
        joined = b"".join(texts)
        self._took(len(joined))
        self._handed = len(joined)
        if self._close is not None:
            self._be_patient(self._handed)
        return joined

    def _event_of(self, text: bytes) -> dict[str, Any]:
        return {"type": "http.response.body", "body": text, "more_body": True}

    def _be_patient(self, size: int) -> None:
        """Wait from now on for the client to take so many bytes."""
        if self._hurries or self._task is None:
            return
        if self._patience is not None:
            self._patience.cancel()
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(patience(size), self._lose_patience)

    def _lose_patience(self) -> None:
        self._patience = None
        self._hurries = True
        self._forget()
        if self._task is not None:
            self._task.cancel()

    async def _send_close(self, code: int, reason: str) -> None:
        retry = self._retry
        if retry is None:
            retry = between(RETRY_LATER if code in LATER_CODES else RETRY)
        last = close_event(code, reason, retry)
        self._be_patient(0)
        await self._send({"type": "http.response.body", "body": last, "more_body": False})
        self.is_complete = True


def patience(size: int) -> float:
    """Return how many seconds a client has for a piece of so many bytes."""
    return FLUSH_TIMEOUT * (1 + math.ceil(size / PACED_SIZE))


def between(bounds: tuple[int, int]) -> int:
    """Return a random whole number within the bounds."""
    return random.randint(*bounds)  # noqa: S311 (nobody gains by knowing it)
