"""One connection to a server while it stands: what was asked, and the replies that are due."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, NoScriptError, ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shardlayer.broker.redis.scripts import script_of
from shardlayer.broker.redis.sockets import Command, Socket, pack

Reply = asyncio.Future[Any]
"""A reply to be. An error that the server answers is raised; nobody has to fetch it."""

_Due = tuple[Reply, Command, bool]  # the last: whether it is behind an ASKING
_ASKING: Command = ("ASKING",)


class Exchange(Socket):
    """Commands and replies of one connection, in order.

    What finds nothing under way is written at once. So is the first command of a turn of the event
    loop, and the others of the turn are written together. A script that the server does not know is
    sent to it.

    Args:
        connection: Made by `open_connection`, used by nothing else from now on.
        timeout: Seconds without any reply after which it is given up.
        readers: What redis-py makes of replies, by command.
        leaves_replicas: Whether it is given up when it turns out to lead to a replica.

    Attributes:
        loss: Why it ended, once it has.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        *,
        timeout: float,
        readers: Mapping[Any, Callable[[Any], Any]],
        leaves_replicas: bool,
    ) -> None:
        super().__init__(connection)
        self.loss: Exception | None = None
        self._timeout = timeout
        self._readers = readers
        self._leaves_replicas = leaves_replicas
        self._loop = asyncio.get_running_loop()
        self._due: deque[_Due] = deque()
        self._unsent: list[bytes] = []
        self._corked = False
        self._heard = 0.0  # when a reply came, or was first waited for; the loop's time
        self._watch: asyncio.TimerHandle | None = None

    def ask(self, command: Command, *, asking: bool = False) -> Reply:
        """Send a command, behind an ASKING if it needs one, and return its reply to be.

        Raises:
            RedisConnectionError: If the connection is lost.
            TypeError, UnicodeEncodeError: If the command can't be written; it is not sent.
        """
        reply: Reply = self._loop.create_future()
        self._ask(reply, command, asking)
        return reply

    def ask_all(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands, with nothing between them, and return their replies to be.

        Raises like `ask`; then none is sent.
        """
        # First of all: a reply that is due to a command that was not sent would be another's.
        packed = b"".join([pack(command) for command in commands])
        replies: list[Reply] = [self._loop.create_future() for _ in commands]
        self._put(zip(replies, commands, repeat(False)), packed)
        return replies

    def heard_of(self) -> None:
        """Give the server time again."""
        self._heard = self._loop.time()

    def answered(self, answer: Any) -> None:
        """Give a reply to who waits for it."""
        if not self._due:
            raise InvalidResponse("nothing was asked")
        reply, command, asking = self._due.popleft()
        if isinstance(answer, Exception):
            self._refused(reply, command, asking, answer)
            return
        if reply.done():  # its caller was cancelled
            return
        read = self._readers.get(command[0])
        if read is not None:
            try:
                answer = read(answer)
            except Exception as error:  # whatever redis-py makes of what no server should answer
                why = f"{command[0]!r} was answered {answer!r:.200}: {error!r}"
                _fail(reply, InvalidResponse(why))
                return
        reply.set_result(answer)

    def ended(self, error: Exception) -> None:
        """Give who waits the error."""
        self.loss = error
        if self._watch is not None:
            self._watch.cancel()
        while self._due:
            _fail(self._due.popleft()[0], error)

    def _ask(self, reply: Reply, command: Command, asking: bool) -> None:
        packed = pack(command)
        if asking:
            nobody: Reply = self._loop.create_future()
            self._put(((nobody, _ASKING, False), (reply, command, True)), pack(_ASKING) + packed)
        else:
            self._put(((reply, command, False),), packed)

    def _put(self, due: Iterable[_Due], packed: bytes) -> None:
        if self.is_lost:
            raise RedisConnectionError("the connection is lost")
        is_idle = not self._due
        if is_idle:
            self._heard = self._loop.time()
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout, self._look)
        self._due.extend(due)
        if self._corked:
            self._unsent.append(packed)
            return
        if not is_idle:  # then this turn may bring more
            self._corked = True
            self._loop.call_soon(self._uncork)
        self.write(packed)

    def _uncork(self) -> None:
        self._corked = False
        if self._unsent and not self.is_lost:
            self.write(b"".join(self._unsent))
        self._unsent.clear()

    def _refused(self, reply: Reply, command: Command, asking: bool, error: Exception) -> None:
        if isinstance(error, NoScriptError) and (script := script_of(command)) is not None:
            if not reply.done():
                self._ask(reply, ("EVAL", script.source, *command[2:]), asking)
            return
        if isinstance(error, ReadOnlyError) and self._leaves_replicas:
            error = RedisConnectionError("the primary has become a replica")
            self.lose(error)
        _fail(reply, error)

    def _look(self) -> None:
        """Give up a server that says nothing."""
        self._watch = None
        if not self._due:
            return
        rest = self._heard + self._timeout - self._loop.time()
        if self._is_paused:  # it said what is not yet handed out
            rest = self._timeout
        if rest > 0:
            self._watch = self._loop.call_later(rest, self._look)
        else:
            self.lose(RedisTimeoutError(f"no reply within {self._timeout:g} s"))


def _fail(reply: Reply, error: Exception) -> None:
    if not reply.done():
        reply.set_exception(error)
        reply.exception()  # whoever sent several commands asks for the first only
