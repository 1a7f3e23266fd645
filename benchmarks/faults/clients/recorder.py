"""One client: a connection after another, and what it was handed."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import orjson

from benchmarks.faults.clients.connection import Connection
from benchmarks.faults.clients.following import TOLD, Following
from benchmarks.faults.clients.tally import Sequence as Numbers
from benchmarks.faults.clients.tally import Tally

# As client.js has them, in seconds; tests/benchmarks/faults holds them to it.
BACKOFF_BASE = 0.5
BACKOFF_CAP = 20.0
STABLE_AFTER = 5.0
FIRST_ATTEMPT = 3  # whose backoff follows the first refusal of a room
REQUEST_TIMEOUT = 10.0

STAY = 3.0  # seconds for which a restless client stays, at most
AWAY = 1.0  # seconds for which it is away, at most


class Recorder:
    """Follows rooms, comes back when its connection ends, and counts what it is handed.

    Where a worker refuses it tries the next one at once, as a balancer does.

    Args:
        ports: Of the workers, its own first; a restless client is at home everywhere.
        rooms: What to follow.
        sources: The names of those who publish to each room.
        tally: Returns the tally of the present slice.
        chance: Decides what is left to chance.
        restless: Whether it leaves and comes back again and again.
    """

    def __init__(
        self,
        *,
        ports: Sequence[int],
        rooms: Sequence[str],
        sources: Sequence[str],
        tally: Callable[[], Tally],
        chance: random.Random,
        restless: bool,
    ) -> None:
        self.rooms = {room: Following(room) for room in rooms}
        self.numbers = {(room, source): Numbers() for room in rooms for source in sources}
        self._ports = ports
        self._tally = tally
        self._chance = chance
        self._restless = restless
        self._ids = count(1)
        self._awaited: dict[
            int, asyncio.TimerHandle
        ] = {}  # a subscribe's id -> when it is too late
        self._connection: Connection | None = None
        self.return_in: float | None = None  # seconds, as the worker that goes has told

    @property
    def is_joined(self) -> bool:
        """Whether it is subscribed to all its rooms now."""
        return self._connection is not None and all(room.joined for room in self.rooms.values())

    @property
    def ever_joined(self) -> bool:
        """Whether it has been subscribed to all its rooms."""
        return all(room.positioned for room in self.rooms.values())

    @property
    def settled(self) -> bool:
        """Whether it is subscribed to all its rooms now, at its own worker."""
        at_home = self._connection is not None and self._connection.port == self._ports[0]
        return (at_home or self._restless) and all(room.joined for room in self.rooms.values())

    def go_home(self) -> None:
        """Come back to its own worker, if it is elsewhere."""
        if self._connection is not None and not self.settled:
            self._connection.close()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        attempt = 0
        while True:
            begun = time.monotonic()
            await self._stay()
            self._tally().ended += 1
            if self._restless:
                await asyncio.sleep(self._chance.uniform(0, AWAY))
                continue
            if time.monotonic() - begun > STABLE_AFTER:
                attempt = 0
            if self.return_in is not None:
                wait, self.return_in = self.return_in, None
                await asyncio.sleep(wait)
                continue
            await asyncio.sleep(self._backoff(attempt))
            attempt += 1

    def _backoff(self, attempt: int) -> float:
        return self._chance.uniform(0, min(BACKOFF_CAP, BACKOFF_BASE * 2.0**attempt))

    async def _stay(self) -> None:
        """Connect, follow the rooms and return when the connection has ended."""
        for room in self.rooms.values():
            room.hold()
        ports = self._ports
        if self._restless:
            ports = self._chance.sample(ports, len(ports))
        for port in ports:
            try:
                connection = await Connection.open(port, self._receive)
            except ConnectionRefusedError:
                continue
            except (OSError, TimeoutError):
                return
            break
        else:
            return
        self._connection = connection
        try:
            self._ask(list(self.rooms.values()))
            async with asyncio.timeout(self._chance.uniform(0, STAY) if self._restless else None):
                await connection.ended.wait()
        except TimeoutError:
            pass
        finally:
            self._connection = None
            for timer in self._awaited.values():
                timer.cancel()
            self._awaited.clear()
            connection.close()

    def _ask(self, rooms: Sequence[Following]) -> None:
        """Subscribe to rooms in one frame."""
        if self._connection is None or not rooms:
            return  # all are asked for when there is a connection
        number = next(self._ids)
        self._connection.send({"id": number, "subscribe": [room.request for room in rooms]})
        self._awaited[number] = asyncio.get_running_loop().call_later(
            REQUEST_TIMEOUT, self._connection.close
        )

    def _receive(self, text: bytearray) -> None:
        message = orjson.loads(text)
        if "data" in message and "room" in message:
            room = self.rooms[message["room"]]
            joined = room.joined
            if room.push(message):
                self._hand_on(room, message["data"])
            elif joined:
                self._tally().asked_again += 1
                self._ask([room])
        elif "reset" in message:
            room = self.rooms[message["room"]]
            if room.reset(message["reset"]):
                self._hand_on(room, TOLD)
        elif "subscribed" in message:
            self._awaited.pop(message["id"]).cancel()
            for reply in message["subscribed"]:
                self._accept(reply)
        elif "reconnect" in message:
            self.return_in = message["reconnect"]["after_ms"] / 1e3
        elif "error" in message and self._connection is not None:
            self._connection.close()  # not understood, or the server failed: begin anew

    def _accept(self, reply: dict[str, Any]) -> None:
        room = self.rooms[reply["room"]]
        if "error" in reply:
            asyncio.get_running_loop().call_later(
                self._backoff(FIRST_ATTEMPT + room.refusals), self._ask_again, room
            )
            room.refusals += 1
            return
        for data in room.accept(reply):
            self._hand_on(room, data)

    def _ask_again(self, room: Following) -> None:
        if not room.joined:
            self._ask([room])

    def _hand_on(self, room: Following, data: Any) -> None:
        """Do what the application does: here, count."""
        tally = self._tally()
        if data is TOLD:
            tally.notices += 1
            for (name, _), numbers in self.numbers.items():
                if name == room.room:
                    numbers.anew = True
            return
        now = time.monotonic_ns()
        if room.room in tally.timed:
            tally.latencies.append(now - data["sent"])
        self.numbers[room.room, data["source"]].take(data["number"], data["sent"], now, tally)
