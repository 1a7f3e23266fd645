"""Keeps a client connected: signs in, has the rooms joined, and comes back after a loss."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from shardlayer.aio.tasks import Tasks
from shardlayer.client.client_backoff import backoff_delay, return_delay
from shardlayer.client.client_error import RoomClientError
from shardlayer.client.followed_rooms import FollowedRooms
from shardlayer.client.room_connection import RoomConnection
from shardlayer.core.tls_contexts import shared_context

logger = logging.getLogger(__name__)

# docs/protocol.md, "Close codes"
FINAL_CLOSE_CODES: Final = frozenset({1002, 1003, 1007, 1009, 4003, 4009})
LATER_CLOSE_CODES: Final = frozenset({4010, 4011, 4012})
SIGNED_OUT_CLOSE_CODES: Final = frozenset({4001, 4002})
LOST: Final = 1006

LATER_ATTEMPT = 5  # whose backoff a client waits that asked for too much: 0 to 16 s
STABLE_AFTER = 5.0  # seconds: a connection that lasted so long was a good one
NOTE_AFTER, NOTE_SPREAD = 2.0, 8.0  # seconds after joining, and up to so many more by chance
FRAMES_A_TURN = 64  # then loops over rooms have a turn, too

# Keeps a dead connection from being taken for a silent one. In seconds; frames have no limit, since
# an answer has what the server sets.
SOCKET_OPTIONS: Final[Mapping[str, Any]] = {
    "open_timeout": 10,
    "ping_interval": 10,
    "ping_timeout": 20,
    "close_timeout": 2,
    "max_size": None,
}

Token = str | Callable[[], Awaitable[str] | str]


class ConnectionKeeper:
    """Has one connection after another, until it is closed or the server says "don't come back"."""

    def __init__(
        self,
        url: str,
        *,
        rooms: FollowedRooms,
        token: Token | None,
        reply_timeout: float,
        on_announcement: Callable[[Any], None],
        options: Mapping[str, Any],
    ) -> None:
        self._url = url
        self._rooms = rooms
        self._token = token
        self._reply_timeout = reply_timeout
        self._on_announcement = on_announcement
        self._options = {**SOCKET_OPTIONS, **options}
        self._connection: RoomConnection | None = None
        self._is_signed_in = asyncio.Event()  # or there will be no connection any more
        self._end: RoomClientError | None = None
        self._note: str | None = None  # spares the server all questions of who this is
        self._attempt = 0  # failures since the last stable connection
        self._is_away = False  # whether it is told that the server can't be reached
        self._return_in: float | None = None  # seconds, as a server that stops says
        self._joined_at: float | None = None

    def check(self) -> None:
        """Raise why there will be no connection any more, if that is so."""
        if self._end is not None:
            raise self._end

    async def connection(self, within: float | None = None) -> RoomConnection:
        """Return the connection, once it is signed in. One that is lost is not handed out.

        Args:
            within: Seconds to wait at most; None is as long as it takes.

        Raises:
            RoomClientError: `offline`: there was none in time. Or there will be none any more.
        """
        try:
            async with asyncio.timeout(within):
                while True:
                    self.check()
                    if self._connection is not None and self._connection.is_open:
                        return self._connection
                    # It may be lost long before that is read: else this would never wait.
                    self._is_signed_in.clear()
                    await self._is_signed_in.wait()
        except TimeoutError:
            raise RoomClientError("offline", f"Not connected within {within:g} s.") from None

    async def close(self) -> None:
        """Connect no more. A second time does nothing."""
        connection = self._connection
        self._stop(RoomClientError("closed", "The client was closed."), loops_fail=False)
        if connection is not None:
            await connection.socket.close()

    async def run(self) -> None:
        """Connect, again and again; return when there will be no connection any more."""
        while not self._is_over():
            code = await self._connect_once()
            if self._is_over():
                return
            if self._joined_at is not None and _now() - self._joined_at >= STABLE_AFTER:
                self._attempt = 0
            if code in LATER_CLOSE_CODES:
                self._attempt = max(self._attempt, LATER_ATTEMPT)
            wait = backoff_delay(self._attempt) if self._return_in is None else self._return_in
            self._attempt += self._return_in is None
            logger.info("Not connected to %s (%d); again in %.1f s.", self._url, code, wait)
            await asyncio.sleep(wait)

    async def _connect_once(self) -> int:
        """Connect and serve until the end; return the close code."""
        self._return_in = self._joined_at = None
        try:
            socket = await connect(self._url, **self._options, **self._tls())
        except InvalidStatus as refused:
            status = refused.response.status_code
            if status == 403:
                reason = "The handshake was refused: the Origin or the path is not the server's."
                self._stop(RoomClientError("forbidden", reason))
            logger.warning("%s answered the handshake with %d.", self._url, status)
            return LOST
        except (OSError, InvalidHandshake, TimeoutError, EOFError) as error:
            level = logging.INFO if self._is_away else logging.WARNING  # once in each outage
            self._is_away = True
            logger.log(level, "%s can't be reached, trying again: %s", self._url, error)
            return LOST
        self._is_away = False
        connection = RoomConnection(socket, self._reply_timeout)
        tasks = Tasks()
        try:
            tasks.spawn(self._open(connection, tasks), "shardlayer: a room client opens")
            return await self._read(connection, tasks)
        finally:
            self._connection = None
            if self._end is None:
                self._is_signed_in.clear()
            self._rooms.disconnected()
            connection.fail(self._end)
            await tasks.aclose()
            await socket.close()

    def _tls(self) -> dict[str, Any]:
        """Return what certificates are checked with: asyncio would make it for each connection."""
        if not self._url.startswith("wss:") or "ssl" in self._options:
            return {}
        return {"ssl": shared_context(ssl.create_default_context)}

    async def _read(self, connection: RoomConnection, tasks: Tasks) -> int:
        socket: ClientConnection = connection.socket
        frames = 0
        try:
            while True:
                message = connection.take(await socket.recv())
                if message is not None:
                    self._receive(message, connection, tasks)
                frames += 1
                if frames % FRAMES_A_TURN == 0:
                    await asyncio.sleep(0)
        except ConnectionClosed as closed:
            code = LOST if closed.rcvd is None else closed.rcvd.code
            reason = "" if closed.rcvd is None else closed.rcvd.reason
        if code in SIGNED_OUT_CLOSE_CODES:
            self._note = None
        if code in FINAL_CLOSE_CODES:
            self._stop(
                RoomClientError("closed", f"The server closed with {code}. {reason}".strip())
            )
        return code

    async def _open(self, connection: RoomConnection, tasks: Tasks) -> None:
        """Sign in and join the rooms; close the connection if that fails."""
        try:
            if not await self._resume(connection) and self._token is not None:
                await self._bring_token(connection)
            self._connection = connection
            self._is_signed_in.set()
            await self._rooms.connected(connection, tasks)
        except RoomClientError as error:
            if error.code == "lost":
                return
            logger.warning("%s: %s", self._url, error)
            # The same token would be refused again; a function may have a better one next time.
            if error.code == "bad_token" and isinstance(self._token, str):
                self._stop(error)
            await connection.socket.close()
            return
        self._joined_at = _now()
        tasks.spawn(self._keep_a_note(connection), "shardlayer: a room client's notes")

    async def _resume(self, connection: RoomConnection) -> bool:
        """Say whether a note told the server who this is."""
        note, self._note = self._note, None
        if note is None:
            return False
        try:
            connected = (await connection.ask({"connect": {"note": note}}))["connected"]
        except RoomClientError as error:
            if error.code == "lost":
                self._note = note
                raise
            return False
        if connected.get("resumed") is not True:
            return False
        self._note = note
        return True

    async def _bring_token(self, connection: RoomConnection) -> None:
        try:
            token = self._token() if callable(self._token) else self._token
            if inspect.isawaitable(token):
                token = await token
        except Exception as error:
            raise RoomClientError("token", f"No token: {error!r}") from error
        await connection.ask({"connect": {"token": token}})

    async def _renew(self, connection: RoomConnection) -> None:
        """Sign in again, since the server asks for it."""
        try:
            if self._token is None:
                raise RoomClientError("expired", "The sign-in has expired, and there is no token.")
            await self._bring_token(connection)
        except RoomClientError as error:
            logger.warning("%s: %s", self._url, error)

    async def _keep_a_note(self, connection: RoomConnection) -> None:
        """Ask for a note, and for another long before it ends."""
        wait = NOTE_AFTER + random.uniform(0, NOTE_SPREAD)  # noqa: S311 - no secret
        while wait > 0:
            await asyncio.sleep(wait)
            try:
                given = (await connection.ask({"note": {}}))["note"]
            except RoomClientError as error:
                logger.debug("No note: %s", error)  # the next connection asks
                return
            self._note, wait = given["note"], given["renew"]

    def _receive(self, message: dict[str, Any], connection: RoomConnection, tasks: Tasks) -> None:
        """Take a push, or an error that answers no command. Unknown ones are ignored."""
        if "error" in message:
            logger.warning("%s: %s", self._url, message["error"])
        elif "reconnect" in message:
            self._return_in = return_delay(message["reconnect"].get("after_ms"))
        elif "renew" in message:
            tasks.spawn(self._renew(connection), "shardlayer: a room client signs in again")
        elif "announcement" in message:
            self._on_announcement(message["announcement"])
        elif "room" in message:
            self._rooms.push(message)

    def _is_over(self) -> bool:
        return self._end is not None

    def _stop(self, error: RoomClientError, *, loops_fail: bool = True) -> None:
        if self._end is None:
            self._end = error
            self._is_signed_in.set()
            self._rooms.end(error if loops_fail else None)


def _now() -> float:
    return asyncio.get_running_loop().time()
