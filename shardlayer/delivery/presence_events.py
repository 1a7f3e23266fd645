"""Tells the members of a node's rooms who came to their room and who went.

In a room of up to 100 people they are told at once. In a larger one, where everybody would be told
of everybody, it is gathered for a while: who came and went again meanwhile is not named, and past
100 names the push says only how many more there are. So what waits is bounded by the number of
rooms.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from time import perf_counter

from shardlayer.aio.tasks import Tasks
from shardlayer.core.options import LayerOptions
from shardlayer.core.presence_news import PresenceNews
from shardlayer.core.pushes import PresencePush, encode_presence
from shardlayer.core.wire import may_be_json
from shardlayer.delivery.rooms import Rooms

logger = logging.getLogger(__name__)

LARGE = 100  # people from which on a room is told now and then
MOST_NAMED = 100  # people who came, and as many who went, that one push names


@dataclass(slots=True)
class _Gathered:
    """What the members of a room are to be told.

    Attributes:
        people: How many people are in the room after it.
        came: Who came, with what they carry.
        went: Who went.
        more: Who came or went past the names that a push has.
    """

    people: int = 0
    came: dict[str, bytes] = field(default_factory=dict)
    went: dict[str, None] = field(default_factory=dict)
    more: int = 0

    def take(self, news: PresenceNews) -> None:
        self.people = news.people
        for came, person, info in news.events:
            if came and person in self.went:
                del self.went[person]
            elif not came and person in self.came:
                del self.came[person]
            elif len(self.came if came else self.went) >= MOST_NAMED:
                self.more += 1
            elif came:
                self.came[person] = info if may_be_json(info) else b""
            else:
                self.went[person] = None


class PresenceEvents:
    """Tells the rooms of one node. Not thread-safe.

    Args:
        rooms: The rooms.
        options: The layer's options.
        tasks: Of the node.

    Attributes:
        heard: News that arrived.
        pushed: Pushes that were made of them, each for all members of a room.
    """

    def __init__(self, rooms: Rooms, options: LayerOptions, *, tasks: Tasks) -> None:
        self.heard = 0
        self.pushed = 0
        self._rooms = rooms
        self._interval = options.presence_news_interval
        self._waiting: dict[str, _Gathered] = {}
        self._due: dict[str, None] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks = tasks.branch()
        self._telling: asyncio.Task[None] | None = None

    def take(self, name: str, news: PresenceNews) -> None:
        """Have a room's members told, if it has any."""
        self.heard += 1
        room = self._rooms.find(name)
        if room is None or not room.sinks:
            return
        waiting = self._waiting.get(name)
        if waiting is None:
            waiting = self._waiting[name] = _Gathered()
        waiting.take(news)
        if name in self._timers:
            return
        if waiting.people <= LARGE:
            self._tell_soon(name)
        elif name not in self._due:
            loop = asyncio.get_running_loop()
            self._timers[name] = loop.call_later(self._interval, self._tell_soon, name)

    async def aclose(self) -> None:
        """Stop telling."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        await self._tasks.aclose()

    def _tell_soon(self, name: str) -> None:
        self._timers.pop(name, None)
        self._due[name] = None
        if self._telling is None:
            self._telling = self._tasks.spawn(self._tell_all(), "presence events")

    async def _tell_all(self) -> None:
        turns = self._rooms.turns
        turns.begin()
        try:
            while self._due:
                name = next(iter(self._due))
                del self._due[name]
                waiting = self._waiting.pop(name)
                room = self._rooms.find(name)
                if room is None or not (waiting.came or waiting.went or waiting.more):
                    continue
                text = encode_presence(
                    name, waiting.people, waiting.came, waiting.went, waiting.more
                )
                self.pushed += 1
                if perf_counter() >= turns.ends:
                    await turns.wait()
                for _ in self._rooms.hub_of(name).write_beside(room, PresencePush([text])):
                    await turns.wait()
        finally:
            turns.end()
            self._telling = None
